-- In an adopted database, the application's callers keep what they could do with its own tables.
do $again$
declare
    v_statement text;
begin
    for v_statement in
        select a.adopted ->> 'statement'
        from bookingdb.adoption as a
        where a.kind = 'statement' and a.adopted @> '{"again": true}'
        order by a.id
    loop
        execute v_statement;
    end loop;
end;
$again$
