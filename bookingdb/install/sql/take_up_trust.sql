-- Trusts again the roles that were trusted when the functions were taken out and the tables kept. Another role may have
-- got the name of one since: the oid tells.
do $trust$
declare
    v_again text[] := '{}';
    v_not_again text[] := '{}';
    v_role record;
begin
    if (
        :is_kept
    ) is true then
        for v_role in
            select t.role ->> 'name' as name, r.oid is not null as is_there
            from bookingdb.history as h
            cross join lateral jsonb_array_elements(h.details -> 'trusted') as t (role)
            left join pg_roles as r on r.rolname = t.role ->> 'name' and r.oid::text = t.role ->> 'oid'
            where h.id = (select max(l.id) from bookingdb.history as l where l.kind = 'functions')
            order by 1
        loop
            if v_role.is_there then
                execute format('grant execute on function bookingdb.act_for_anyone() to %I', v_role.name);
                v_again := v_again || v_role.name;
            -- Trusted wherever it is.
            elsif v_role.name <> 'service_role' then
                v_not_again := v_not_again || v_role.name;
            end if;
        end loop;
    end if;
    -- For the history, and for whoever migrates.
    perform set_config(
        'bookingdb.trusted_again',
        case
            when v_again = '{}' and v_not_again = '{}' then '{}'
            else jsonb_build_object('trusted_again', v_again, 'not_trusted_again', v_not_again)::text
        end,
        true
    );
end;
$trust$
