create or replace function bookingdb.marks_of_new_rules(p_people uuid[])
returns uuid[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Many marks, so that two writers who are new at the same time rarely wait for each other.
    return array(
        select lpad(to_hex(n.number), 32, '0')::uuid
        from (
            select g.number from generate_series(1, 1024) as g (number) where p_people is null
            union
            select 1 + (uuid_hash(p.id) & 1023) from unnest(p_people) as p (id)
        ) as n
        order by n.number
    );
end;
$function$;

comment on function bookingdb.marks_of_new_rules(uuid[]) is
'Returns whom to mark in rule_changes where these people (NULL: any people) get rows in bookingdb.rules, which an older snapshot of the default policy''s writer hides.';
