-- Makes the function whose execution is trust, where it is missing, and lets nobody but its owner execute it: the
-- default privileges of the owner may name roles, which nobody meant to trust.
do $block$
declare
    v_grantee text;
begin
    if to_regprocedure('bookingdb.act_for_anyone()') is not null then
        return;
    end if;
    create function bookingdb.act_for_anyone() returns void language plpgsql as 'begin end';
    for v_grantee in
        select distinct case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
        from pg_proc as p
        cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.oid = to_regprocedure('bookingdb.act_for_anyone()') and a.grantee <> p.proowner
    loop
        execute format('revoke all on function bookingdb.act_for_anyone() from %s', v_grantee);
    end loop;
end;
$block$
