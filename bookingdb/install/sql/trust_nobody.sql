-- Makes the functions whose execution is trust (act_for_anyone) and the privilege of a worker (work_deliveries), where
-- they are missing, and lets nobody but their owner execute them: the default privileges of the owner may name roles,
-- which nobody meant to trust.
do $block$
declare
    v_function text;
    v_grantee text;
begin
    foreach v_function in array array['bookingdb.act_for_anyone()', 'bookingdb.work_deliveries()'] loop
        continue when to_regprocedure(v_function) is not null;
        execute format('create function %s returns void language plpgsql as ''begin end''', v_function);
        for v_grantee in
            select distinct case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
            from pg_proc as p
            cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
            where p.oid = to_regprocedure(v_function) and a.grantee <> p.proowner
        loop
            execute format('revoke all on function %s from %s', v_function, v_grantee);
        end loop;
    end loop;
end;
$block$
