"""Tables of people and access. Those read before the organisation is known are directory tables."""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    TEXT_ARRAY,
    UUID,
    created_at,
    directory_table,
    metadata,
    tenant_table,
    timestamp,
)

organisation = directory_table(
    "organisation",
    sa.Column("id", UUID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False, server_default="EUR"),
    sa.Column("timezone", sa.Text, nullable=False, server_default="UTC"),
    created_at(),
)
person = directory_table(
    "person",
    sa.Column("id", UUID, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text),
    created_at(),
)
membership = directory_table(
    "membership",
    sa.Column("organisation_id", UUID, sa.ForeignKey("organisation.id"), primary_key=True),
    sa.Column("person_id", UUID, sa.ForeignKey("person.id"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.CheckConstraint("role in ('admin', 'member', 'viewer')", name="role"),
    created_at(),
)
browser_session = directory_table(
    "browser_session",
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("organisation_id", UUID, sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("person_id", UUID, sa.ForeignKey("person.id"), nullable=False),
    sa.Column("id", UUID, nullable=False, unique=True),
    # browser: its token is in a cookie; bearer: its id is in a signed token (JWT).
    sa.Column("kind", sa.Text, nullable=False, server_default="browser"),
    sa.Column("csrf_token", sa.Text, nullable=False),
    timestamp("expires_at", nullable=False),
    created_at(),
    sa.CheckConstraint("kind in ('browser', 'bearer')", name="kind"),
)
sa.Index("ix_browser_session_person", browser_session.c.organisation_id, browser_session.c.person_id)
sign_in_attempt = directory_table(
    "sign_in_attempt",
    # A hash of the email, or of the email with the address it came from.
    sa.Column("subject", sa.LargeBinary, primary_key=True),
    timestamp("window_started_at", nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
)
sign_in_link = directory_table(
    "sign_in_link",
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("organisation_id", UUID, sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("person_id", UUID, sa.ForeignKey("person.id"), nullable=False),
    timestamp("expires_at", nullable=False),
    timestamp("used_at"),
)
access_key = directory_table(
    "access_key",
    sa.Column("prefix", sa.Text, primary_key=True),
    sa.Column("id", UUID, nullable=False, unique=True),
    sa.Column("organisation_id", UUID, sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    sa.Column("scopes", TEXT_ARRAY, nullable=False),
    sa.Column("created_by", UUID),
    created_at(),
    timestamp("expires_at"),
    timestamp("revoked_at"),
    timestamp("last_used_at"),
    sa.CheckConstraint("kind in ('api_key', 'agent')", name="kind"),
)
sa.Index("ix_access_key_organisation", access_key.c.organisation_id, access_key.c.created_at)
audit_log = tenant_table(
    "audit_log",
    timestamp("at", nullable=False),
    sa.Column("actor_kind", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text, nullable=False),
    sa.Column("actor_name", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject_kind", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("before", JSONB),
    sa.Column("after", JSONB),
    append_only=True,
)
sa.Index("ix_audit_log_subject", audit_log.c.organisation_id, audit_log.c.subject_kind, audit_log.c.subject_id)
idempotency_key = tenant_table(
    "idempotency_key",
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text, nullable=False),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    # Null while the work is going on outside a transaction.
    sa.Column("status", sa.SmallInteger),
    sa.Column("body", sa.LargeBinary),
    created_at(),
    key=("actor_id", "key"),
)
sa.Index("ix_idempotency_key_created", idempotency_key.c.organisation_id, idempotency_key.c.created_at)

__all__ = ["metadata"]
