-- Functions of ours that no file defines: others in bookingdb, overloads, those of files that are gone.
select p.oid::regprocedure::text as name
from pg_proc as p
inner join pg_namespace as n on n.oid = p.pronamespace
where (
        n.nspname = 'bookingdb'
        or (n.nspname = 'public' and p.proname = any(:'public_functions'))
        or p.oid = any(
            select to_regprocedure(r.signature)
            from :history as h
            cross join lateral jsonb_array_elements_text(h.details -> 'functions') as r (signature)
            where h.kind = 'functions'
        )
    )
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
