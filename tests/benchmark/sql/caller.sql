select
    set_config('role', '{role}', true),
    set_config(
        'request.jwt.claims', json_build_object('sub', md5('client ' || :client)::uuid, 'role', '{role}')::text, true
    )
