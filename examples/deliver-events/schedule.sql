-- Has the Edge Function called every minute. Run it once in the SQL editor, with your project's name and a long random
-- text, which `supabase secrets set WORKER_SECRET=...` gives to the function, too.
create extension if not exists pg_cron;
create extension if not exists pg_net;

select vault.create_secret('https://PROJECT.supabase.co/functions/v1/deliver-events', 'deliver_events_url');
select vault.create_secret('A LONG RANDOM TEXT', 'deliver_events_secret');

select cron.schedule('deliver-events', '* * * * *', $$
    select net.http_post(
        url := (select s.decrypted_secret from vault.decrypted_secrets as s where s.name = 'deliver_events_url'),
        headers := jsonb_build_object(
            'Content-Type', 'application/json',
            'Authorization', 'Bearer ' || (
                select s.decrypted_secret from vault.decrypted_secrets as s where s.name = 'deliver_events_secret'
            )
        ),
        body := '{}'::jsonb,
        timeout_milliseconds := 60000
    )
$$);
