insert into auth.users (id, email) values
    ('00000000-0000-4000-8000-0000000000a1', 'ada@single.example'),
    ('00000000-0000-4000-8000-0000000000a2', 'ben@single.example'),
    ('00000000-0000-4000-8000-0000000000a3', 'gone@single.example'),
    ('00000000-0000-4000-8000-0000000000c1', 'carla@single.example'),
    ('00000000-0000-4000-8000-0000000000c2', 'carl@single.example'),
    ('00000000-0000-4000-8000-0000000000c3', 'poor@single.example'),
    ('00000000-0000-4000-8000-0000000000e1', 'halfway@single.example');
insert into auth.users (id, email)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@single.example'
from generate_series(1, 30) as n;
