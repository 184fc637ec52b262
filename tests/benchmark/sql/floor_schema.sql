-- Copies of the tables that a booking writes, with the same indexes, constraints, settings and rows, and no trigger.
create schema bookingdb_floor;

do $block$
declare
    v_table regclass;
    v_copy text;
    v_constraint record;
    v_options text[];
begin
    foreach v_table in array array[
        'public.sessions', 'public.user_credits', 'public.booking_audit_log', 'bookingdb.calendar', 'bookingdb.ledger',
        'bookingdb.outbox', 'bookingdb.idempotency_keys'
    ]::regclass[] loop
        select 'bookingdb_floor.' || quote_ident(c.relname), c.reloptions
        into v_copy, v_options
        from pg_class as c
        where c.oid = v_table;
        -- Rows before indexes: filling ten million rows through GiST indexes takes many times as long.
        execute format('create table %s (like %s including all excluding indexes)', v_copy, v_table);
        if v_options is not null then
            execute format('alter table %s set (%s)', v_copy, array_to_string(v_options, ', '));
        end if;
        execute format('insert into %s overriding system value select * from %s', v_copy, v_table);
        for v_constraint in
            select c.conname, pg_get_constraintdef(c.oid) as definition
            from pg_constraint as c
            where c.conrelid = v_table and c.contype in ('p', 'u', 'x', 'f')
            order by c.contype = 'f', c.oid
        loop
            execute format('alter table %s add constraint %I %s', v_copy, v_constraint.conname, v_constraint.definition);
        end loop;
        for v_constraint in
            select regexp_replace(pg_get_indexdef(i.indexrelid), ' ON \S+ USING ', ' ON ' || v_copy || ' USING ')
                as definition
            from pg_index as i
            where i.indrelid = v_table
                and not exists (select from pg_constraint as c where c.conindid = i.indexrelid and c.contype <> 'f')
        loop
            execute v_constraint.definition;
        end loop;
    end loop;
end;
$block$;

-- What was copied has numbers already.
select
    setval(pg_get_serial_sequence('bookingdb_floor.booking_audit_log', 'id'), max(l.id) + 1),
    setval(pg_get_serial_sequence('bookingdb_floor.booking_audit_log', 'entry'), max(l.entry) + 1)
from bookingdb_floor.booking_audit_log as l
having count(*) > 0;

select setval(pg_get_serial_sequence('bookingdb_floor.ledger', 'id'), max(l.id) + 1)
from bookingdb_floor.ledger as l
having count(*) > 0;
