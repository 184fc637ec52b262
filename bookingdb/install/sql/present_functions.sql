-- Those functions of a list of signatures that the database has. Their types are looked at first: before Postgres 16,
-- to_regprocedure() raises undefined_object for a type that does not exist (yet, or any more).
select f.function
from (
    select case
        when not exists (
            select from unnest(string_to_array(rtrim(split_part(s.signature, '(', 2), ')'), ', ')) as t (name)
            where to_regtype(t.name) is null
        ) then to_regprocedure(s.signature)
    end as function
    from (
        :signatures
    ) as s (signature)
) as f
where f.function is not null
