-- Plans that cannot go wrong, and policies that say more.

-- Both constraints held for the same rows, so that the index of either answered any question about sessions and holds:
-- where the statistics said that the calendar was empty (a new database, or rows that were written but not committed
-- when they were taken), a therapist's time could be looked for by reading all of the clients' index, in a plan that
-- was kept while the calendar filled. Now an index has a predicate that only a question about its person implies. The
-- constraints refuse what they refused before: a person who is null never met another.
--
-- The indexes are built anew, and nobody books meanwhile (ACCESS EXCLUSIVE on the calendar): an exclusion constraint
-- cannot be added with an index that was built beforehand. The calendar has only what is to come and what was not
-- closed.
alter table bookingdb.calendar
drop constraint calendar_therapist_excl,
drop constraint calendar_client_excl,
add constraint calendar_therapist_excl exclude using gist (therapist_id with =, blocked with &&)
where (kind in ('session', 'hold') and therapist_id is not null),
add constraint calendar_client_excl exclude using gist (client_id with =, period with &&)
where (kind in ('session', 'hold') and client_id is not null);

-- Partial indexes that answered other questions in the same way: with the sum of a client's credits, by reading
-- everybody's lots.

-- What expire_credits() looks for.
drop index public.user_credits_expires_at_idx;

create index user_credits_expires_at_idx on public.user_credits (expires_at)
where status = 'active' and expires_at is not null;

-- One hold of a client with a therapist (hold_slot, which finds the old one by it).
drop index bookingdb.calendar_hold_key;

create unique index calendar_hold_key on bookingdb.calendar (client_id, therapist_id)
where kind = 'hold' and client_id is not null and therapist_id is not null;

-- Time off and external appointments may overlap anything, so no constraint's index covers them.
drop index bookingdb.calendar_absence_idx;

create index calendar_absence_idx on bookingdb.calendar using gist (therapist_id, blocked)
where kind in ('time_off', 'external') and therapist_id is not null;

-- Expired holds in the way of a booking are found by whose they are.
drop index bookingdb.calendar_hold_expires_at_idx;

-- A policy says, too, whether the therapist has any hours, so that whoever has a policy need not ask for them again.
alter type bookingdb.effective_policy add attribute has_hours boolean;

-- These have other parameters now, or nobody asks for them any more.
drop function if exists bookingdb.book_slot(
    uuid, uuid, date, time, text, tstzrange, varchar, text, text, uuid, boolean
);
drop function if exists bookingdb.opening_times(uuid[], timestamptz, timestamptz);
drop function if exists bookingdb.free_times(uuid[], tstzrange, interval, uuid, boolean);
drop function if exists bookingdb.policies_of(uuid[]);
drop function if exists bookingdb.resolve_time_zone(text, uuid);
