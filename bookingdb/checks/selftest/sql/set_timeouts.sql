-- The timeouts of the transaction, whatever role, database and pooler say.
select
    set_config('lock_timeout', '30s', true) as lock_timeout,
    set_config('statement_timeout', '60s', true) as statement_timeout,
    set_config('idle_in_transaction_session_timeout', '0', true) as idle_timeout
