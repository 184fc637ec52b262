-- One credit, given without the locks that grant_credits() takes.
insert into public.user_credits (user_id, user_type, credits_balance, status)
values (:'client', 'user', 1, 'active')
