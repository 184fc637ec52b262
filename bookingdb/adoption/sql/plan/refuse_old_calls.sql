-- Makes the trigger that refuses what calls of replaced functions still write. Such a call has begun before the
-- adoption commits, and an hour is more than that takes from here. The trigger then costs a comparison a statement.
do $guard$
begin
    execute format(
        'create trigger bookingdb_old_calls before insert or update or delete on %s for each statement'
        || ' when (statement_timestamp() < %L) execute function bookingdb.refuse_old_calls(%s)',
        :'table', clock_timestamp() + interval '1 hour', :'names'
    );
end;
$guard$
