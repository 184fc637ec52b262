-- Functions of ours that no file defines: others in bookingdb, overloads, those of files that are gone. Before an
-- installation only overloads that no earlier one made: a migration may drop the others.
select p.oid::regprocedure::text as name
from pg_proc as p
inner join pg_namespace as n on n.oid = p.pronamespace
cross join lateral (
    select p.oid = any(
        select to_regprocedure(r.signature)
        from :history as h
        cross join lateral jsonb_array_elements_text(h.details -> 'functions') as r (signature)
        where h.kind = 'functions' and to_regprocedure(r.signature) is not null
    ) as is_recorded
) as e
where case
        when n.nspname = 'public' and p.proname = any(:'public_functions') then not (:'is_before' and e.is_recorded)
        else not :'is_before' and (n.nspname = 'bookingdb' or e.is_recorded)
    end
    and not p.oid = any(
        select to_regprocedure(f.signature)
        from unnest(:'signatures') as f (signature)
        where to_regprocedure(f.signature) is not null
    )
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
order by 1
