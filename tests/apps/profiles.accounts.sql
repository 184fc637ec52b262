insert into auth.users (id, email, raw_user_meta_data) values
    ('00000000-0000-4000-8000-0000000000a1', 'ada@profiles.example', '{"full_name": "Ada"}'),
    ('00000000-0000-4000-8000-0000000000a2', 'ben@profiles.example', null),
    ('00000000-0000-4000-8000-0000000000a3', 'gone@profiles.example', null),
    ('00000000-0000-4000-8000-0000000000c1', 'carla@profiles.example', null),
    ('00000000-0000-4000-8000-0000000000c2', 'carl@profiles.example', null),
    ('00000000-0000-4000-8000-0000000000c3', 'poor@profiles.example', null),
    ('00000000-0000-4000-8000-0000000000e1', 'no-profile@profiles.example', null);
insert into auth.users (id, email)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@profiles.example'
from generate_series(1, 30) as n;
