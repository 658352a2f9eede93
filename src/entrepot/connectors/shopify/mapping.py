"""Shopify's orders, listings and quantities as the hub's. Pure.

GraphQL answers and webhook bodies of the same order at the same moment map to equal values (a test holds them
together), so it does not matter by which way a version comes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from entrepot.channels.contract import (
    Address,
    ChannelOrder,
    ChannelOrderLine,
    ChannelOrderStatus,
    UnexpectedAnswer,
)
from entrepot.connectors.shopify import queries, shapes, webhook_shapes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNPAID = frozenset({"pending", "partially_paid", "expired", "voided"})
_DEAD_PARCELS = frozenset({"cancelled", "error", "failure"})
_NOTHING_SHIPPED = frozenset({"UNFULFILLED", "OPEN", "FULFILLMENT_NOT_REQUIRED"})
_ZERO = Decimal(0)


# ---- ids, times ----------------------------------------------------------------------------------------


def number_of(gid: str) -> str:
    """Return the plain number of a global id: `gid://shopify/Order/123` is `123`."""
    number = gid.rpartition("/")[2].partition("?")[0]
    if not number:
        raise UnexpectedAnswer(f"Shopify sent an id that cannot be read: {gid[:60]!r}")
    return number


def gid_of(kind: str, number: str) -> str:
    """Return the global id of a plain number."""
    return number if number.startswith("gid://") else f"gid://shopify/{kind}/{number}"


def utc_of(time: datetime) -> datetime:
    """Return the time in UTC. Raises UnexpectedAnswer if it has no offset."""
    if time.tzinfo is None:
        raise UnexpectedAnswer("Shopify sent a time without an offset")
    return time.astimezone(UTC)


def version_of(updated_at: datetime, units_settled: int, is_pending: bool) -> int:
    """Return the version of an order: updated_at in microseconds, and how far the order got within that instant.

    Shopify's times have whole seconds, so an order that is changed twice in a second has two states with one
    updated_at. Payment, shipping and cancelling only add to what is settled: the later state has the greater version.
    """
    delta = updated_at - _EPOCH
    micros = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return micros + min(2 * units_settled + (0 if is_pending else 1), 999_999)


# ---- what became of the units --------------------------------------------------------------------------


@dataclass(slots=True)
class Moves:
    """Units per line (plain number): shipped in live parcels, returned after shipping, refunded with nothing said."""

    shipped: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    loose: dict[str, int] = field(default_factory=dict)

    def ship(self, line: str, status: str | None, units: int | None) -> None:
        """Count units of a parcel, unless the parcel came to nothing."""
        if (status or "").lower() not in _DEAD_PARCELS:
            self.shipped[line] = self.shipped.get(line, 0) + (units or 0)

    def refund(self, line: str, restock_type: str | None, units: int) -> None:
        """Count units of a refund: `cancel` ones never left, so current_quantity tells of them already."""
        kind = (restock_type or "").lower()
        if kind == "return":
            self.returned[line] = self.returned.get(line, 0) + units
        elif kind != "cancel":
            self.loose[line] = self.loose.get(line, 0) + units


def settled(line: str, ordered: int, current: int, moves: Moves, is_cancelled: bool) -> tuple[int, int]:
    """Return (cancelled, shipped) of a line.

    `current` is what Shopify counts as still sold: without removed and without refunded units. Returned units were
    shipped and are not cancelled; a refund that does not say so is taken for shipped units first, so that units which
    may still have to leave are not released.
    """
    shipped = min(moves.shipped.get(line, 0), ordered)
    if is_cancelled:
        return ordered - shipped, shipped
    returned = moves.returned.get(line, 0)
    returned += min(moves.loose.get(line, 0), max(0, shipped - returned))
    removed = max(0, ordered - current - returned)
    return min(removed, ordered - shipped), shipped


def status_of(lines: Iterable[ChannelOrderLine], is_cancelled: bool, is_pending: bool) -> ChannelOrderStatus:
    """Return the state of an order from what became of its lines."""
    shipped = outstanding = 0
    for line in lines:
        shipped += line.shipped
        outstanding += line.quantity - line.cancelled - line.shipped
    if is_cancelled or (outstanding == 0 and shipped == 0):
        return ChannelOrderStatus.CANCELLED
    if outstanding == 0:
        return ChannelOrderStatus.SHIPPED
    if shipped:
        return ChannelOrderStatus.PARTLY_SHIPPED
    return ChannelOrderStatus.PENDING if is_pending else ChannelOrderStatus.OPEN


# ---- orders by GraphQL ---------------------------------------------------------------------------------


def lacks_lines(order: shapes.Order) -> bool:
    """Return whether the order has more lines than came with it."""
    return order.line_items.page_info.has_next_page


def lacks_moves(order: shapes.Order) -> bool:
    """Return whether it takes the order's parcels and refunds to say what was shipped and what was cancelled."""
    lines = order.line_items.nodes
    if order.display_fulfillment_status in _NOTHING_SHIPPED or order.cancelled_at is not None:
        return False
    if order.display_fulfillment_status == "PARTIALLY_FULFILLED":
        return True
    if order.display_fulfillment_status == "FULFILLED":
        return any(line.current_quantity != line.quantity for line in lines)
    return any(line.unfulfilled_quantity != line.quantity for line in lines)


def moves_of(order: shapes.Order, node: shapes.OrderMovesNode | None) -> Moves:
    """Return what was shipped and refunded: from the parcels where they were read, else as the status says."""
    moves = Moves()
    if node is None:
        if order.display_fulfillment_status == "FULFILLED":
            moves.shipped = {number_of(line.id): line.quantity for line in order.line_items.nodes}
        return moves
    for parcel in node.fulfillments:
        for shipped in parcel.fulfillment_line_items.nodes if parcel.fulfillment_line_items else ():
            moves.ship(number_of(shipped.line_item.id), parcel.status, shipped.quantity)
    for refund in node.refunds:
        for refunded in refund.refund_line_items.nodes:
            moves.refund(number_of(refunded.line_item.id), refunded.restock_type, refunded.quantity)
    if _is_cut_off(node):
        for line in order.line_items.nodes:
            number = number_of(line.id)
            seen = moves.shipped.get(number, 0)
            moves.shipped[number] = max(seen, line.current_quantity - line.unfulfilled_quantity)
    return moves


def _is_cut_off(node: shapes.OrderMovesNode) -> bool:
    """Whether there are more parcels or refunds than one query may ask for: then the counts of the lines help out."""
    pages: list[shapes.Connection[shapes.ShippedLine] | shapes.Connection[shapes.RefundedLine] | None] = [
        *(parcel.fulfillment_line_items for parcel in node.fulfillments),
        *(refund.refund_line_items for refund in node.refunds),
    ]
    return (
        len(node.fulfillments) >= queries.FULFILMENTS_A_CALL
        or len(node.refunds) >= queries.REFUNDS_A_CALL
        or any(page is not None and page.page_info.has_next_page for page in pages)
    )


def order_of_graphql(order: shapes.Order, node: shapes.OrderMovesNode | None = None) -> ChannelOrder:
    """Map an order with all its lines. `node`: its parcels and refunds, where `lacks_moves` asks for them."""
    moves = moves_of(order, node)
    is_cancelled = order.cancelled_at is not None
    lines = []
    for line in order.line_items.nodes:
        if line.quantity <= 0:
            continue
        number = number_of(line.id)
        cancelled, shipped = settled(number, line.quantity, line.current_quantity, moves, is_cancelled)
        lines.append(
            ChannelOrderLine(
                external_id=number,
                sku=line.sku or None,
                external_variant_id=number_of(line.variant.id) if line.variant else None,
                title=line.name,
                quantity=line.quantity,
                cancelled=cancelled,
                shipped=shipped,
                unit_price=line.original_unit_price_set.shop_money.amount,
            )
        )
    address = order.shipping_address
    return _order(
        external_id=number_of(order.id),
        number=order.name,
        created_at=order.created_at,
        updated_at=order.updated_at,
        is_cancelled=is_cancelled,
        financial_status=(order.display_financial_status or "").lower(),
        currency=order.currency_code,
        lines=tuple(lines),
        total=order.current_total_price_set.shop_money.amount,
        tax=order.current_total_tax_set.shop_money.amount,
        discount=order.current_total_discounts_set.shop_money.amount,
        shipping=order.total_shipping_price_set.shop_money.amount,
        email=order.email,
        customer=order.customer,
        ship_to=_address(address, address.country_code_v2) if address else None,
        source_id=order.source_identifier,
    )


# ---- orders by webhook ---------------------------------------------------------------------------------


def order_of_webhook(order: webhook_shapes.RestOrder) -> ChannelOrder:
    """Map the body of an orders/* webhook."""
    moves = Moves()
    refunded: dict[int, int] = {}
    for parcel in order.fulfillments or ():
        for shipped in parcel.line_items:
            moves.ship(str(shipped.id), parcel.status, shipped.quantity)
    for refund in order.refunds or ():
        for line in refund.refund_line_items:
            moves.refund(str(line.line_item_id), line.restock_type, line.quantity)
            refunded[line.line_item_id] = refunded.get(line.line_item_id, 0) + line.quantity
    is_cancelled = order.cancelled_at is not None
    address, shipping = order.shipping_address, order.total_shipping_price_set
    return _order(
        external_id=str(order.id),
        number=order.name or str(order.id),
        created_at=order.created_at,
        updated_at=order.updated_at,
        is_cancelled=is_cancelled,
        financial_status=order.financial_status or "",
        currency=order.currency,
        lines=tuple(
            _webhook_line(line, moves, refunded, is_cancelled) for line in order.line_items if line.quantity > 0
        ),
        total=_first(order.current_total_price, order.total_price),
        tax=_first(order.current_total_tax, order.total_tax),
        discount=_first(order.current_total_discounts, order.total_discounts),
        shipping=shipping.shop_money.amount if shipping and shipping.shop_money else _ZERO,
        email=order.email,
        customer=order.customer,
        ship_to=_address(address, address.country_code) if address else None,
        source_id=order.source_identifier,
    )


def _webhook_line(
    line: webhook_shapes.RestLine, moves: Moves, refunded: Mapping[int, int], is_cancelled: bool
) -> ChannelOrderLine:
    number = str(line.id)
    current = line.current_quantity
    if current is None:
        current = max(0, line.quantity - refunded.get(line.id, 0))
    cancelled, shipped = settled(number, line.quantity, current, moves, is_cancelled)
    return ChannelOrderLine(
        external_id=number,
        sku=line.sku or None,
        external_variant_id=str(line.variant_id) if line.variant_id else None,
        title=line.name or line.title or "",
        quantity=line.quantity,
        cancelled=cancelled,
        shipped=shipped,
        unit_price=_first(line.price),
    )


# ---- what both have in common --------------------------------------------------------------------------


def _order(
    *,
    external_id: str,
    number: str,
    created_at: datetime,
    updated_at: datetime,
    is_cancelled: bool,
    financial_status: str,
    currency: str,
    lines: tuple[ChannelOrderLine, ...],
    total: Decimal,
    tax: Decimal,
    discount: Decimal,
    shipping: Decimal,
    email: str | None,
    customer: shapes.Customer | webhook_shapes.RestCustomer | None,
    ship_to: Address | None,
    source_id: str | None,
) -> ChannelOrder:
    is_pending = financial_status in _UNPAID
    changed = utc_of(updated_at)
    units_settled = sum(line.cancelled + line.shipped for line in lines)
    name = ship_to.name if ship_to else ""
    if not name and customer:
        name = " ".join(filter(None, (customer.first_name, customer.last_name)))
    words = [financial_status.replace("_", " "), "cancelled" if is_cancelled else ""]
    return ChannelOrder(
        external_id=external_id,
        number=number,
        version=version_of(changed, units_settled, is_pending),
        status=status_of(lines, is_cancelled, is_pending),
        placed_at=utc_of(created_at),
        updated_at=changed,
        currency=currency,
        lines=lines,
        total=total,
        tax=tax,
        shipping=shipping,
        discount=discount,
        buyer_name=name,
        buyer_email=email or "",
        ship_to=ship_to,
        channel_status=", ".join(filter(None, words)),
        source_id=source_id or "",
    )


def _address(address: shapes.MailingAddress | webhook_shapes.RestAddress, country: str | None) -> Address:
    return Address(
        name=address.name or "",
        company=address.company or "",
        line1=address.address1 or "",
        line2=address.address2 or "",
        city=address.city or "",
        region=address.province_code or "",
        postal_code=address.zip or "",
        country=country or "",
        phone=address.phone or "",
    )


def _first(*amounts: Decimal | None) -> Decimal:
    return next((amount for amount in amounts if amount is not None), _ZERO)
