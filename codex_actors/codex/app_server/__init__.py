"""`codex app-server`: threads that live on, of which many run in one process.

Start reading at `opening`; then `client` (the process, supervised), `connection` (requests and
answers), `thread` (turns), `ledger` (records of attachments).
"""
