-- One call, judged as for a user: set who acts, make the call, restore who acted before.
--
-- It is one statement, so that nothing comes between: no other task or thread on the connection, no cancellation and no
-- pooler. Each part reads what the part before it returned, and so waits for it. The window function needs every row of
-- the call before it returns the first.
--
-- The call is not made where the database takes the caller for somebody else (is_judged is false): a database that was
-- not upgraded yet knows nothing of acting, and would trust the caller. Nor is it made in a transaction that acts as
-- another user already (is_judged is NULL).
with before as materialized (
    select coalesce(current_setting('bookingdb.acting_as', true), '') as acting_as
),

acting as materialized (
    select
        set_config('bookingdb.acting_as', :user_id, true) as user_id,
        b.acting_as as acting_before,
        lower(b.acting_as) not in ('', :user_id) as is_another
    from before as b
),

judged as materialized (
    select
        case
            when not a.is_another
                then not bookingdb.caller_is_trusted() and coalesce(bookingdb.actor_id() = a.user_id::uuid, true)
        end as is_judged,
        a.acting_before
    from acting as a
)

select
    j.is_judged,
    answer.*,
    set_config('bookingdb.acting_as', j.acting_before, true) as restored
from judged as j
left join lateral (
    select
        count(*) over () as row_count,
        made.*
    from (:call) as made
    where j.is_judged
) as answer on true
