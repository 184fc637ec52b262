-- Trusts again the roles that were trusted when the functions were taken out and the tables kept.
do $trust$
declare
    v_role text;
begin
    if (
        :is_kept
    ) is not true then
        return;
    end if;
    for v_role in
        select t.name
        from bookingdb.history as h
        cross join lateral jsonb_array_elements_text(h.details -> 'trusted') as t (name)
        where h.id = (select max(l.id) from bookingdb.history as l where l.kind = 'functions')
            and to_regrole(quote_ident(t.name)) is not null
    loop
        execute format('grant execute on function bookingdb.act_for_anyone() to %I', v_role);
    end loop;
end;
$trust$
