-- Stands for the readings of sessions where the application has none. Part of other queries.
select
    null::uuid as therapist_id, null::text as status, null::timestamptz as starts, null::timestamptz as repaired_end,
    false as active
where false
