// What the example of an Edge Function uses of Deno: types alone, for the compiler.
declare namespace Deno {
  const env: { get(name: string): string | undefined }
  function serve(handler: (request: Request) => Response | Promise<Response>): unknown
}
