"""Tasks, approvals and actions: what is proposed, decided, carried out, verified and undone."""
