"""Products with their pictures and variants as GraphQL values and as webhook bodies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from entrepot_sandbox.books import Listing
from entrepot_sandbox.sheets import Picture, Sheet
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.paging import connection
from entrepot_sandbox.shopify.words import amount, stamp

Node = dict[str, Any]
NO_OPTION, NO_TITLE = "Title", "Default Title"


def sheet_of(listing: Listing) -> Sheet:
    """Return a listing's product; every one has one in this shop."""
    assert listing.sheet is not None
    return listing.sheet


def plain(html: str) -> str:
    """Return the text of a description."""
    text = re.sub(r"<[^>]+>", " ", html)
    return " ".join(text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").split())


def variant_title(listing: Listing) -> str:
    """Return a variant's title: its options."""
    return " / ".join(listing.options)


def selected_options(listing: Listing) -> list[Node]:
    """Return a variant's options with their names."""
    names = sheet_of(listing).option_names
    return [{"name": name, "value": value} for name, value in zip(names, listing.options, strict=True)]


def option_nodes(sheet: Sheet) -> list[Node]:
    """Return the product's options."""
    number = int(sheet.id)
    return [
        {
            "id": gid("ProductOption", number + place),
            "name": name,
            "position": place + 1,
            "values": list(dict.fromkeys(each.options[place] for each in sheet.listings)),
        }
        for place, name in enumerate(sheet.option_names)
    ]


def product_node(sheet: Sheet, variants: Callable[..., Node]) -> Node:
    """A product; `variants` resolves its variants."""

    def metafield(_info: Any, key: str, namespace: str | None = None) -> Node | None:
        found = sheet.extra.get("metafields", {}).get((namespace, key))
        if found is None:
            return None
        return {"id": gid("Metafield", sheet.id), "namespace": namespace, "key": key, **found}

    def media(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        return connection(
            list(enumerate(sheet.pictures)),
            key=lambda each: [each[0]],
            node=lambda each: _media_node(each[1]),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    total = sum(each.quantity for each in sheet.listings)
    is_plain = [each.options for each in sheet.listings] == [(NO_TITLE,)]
    return {
        "__typename": "Product",
        "id": gid("Product", sheet.id),
        "legacyResourceId": sheet.id,
        "title": sheet.title,
        "handle": sheet.handle,
        "vendor": sheet.vendor,
        "productType": sheet.product_type,
        "description": plain(sheet.description_html),
        "descriptionHtml": sheet.description_html,
        "status": sheet.status,
        "tags": sorted(sheet.tags, key=str.lower),
        "seo": {"title": sheet.seo_title or None, "description": sheet.seo_description or None},
        "category": {"id": sheet.category} if sheet.category else None,
        "metafield": metafield,
        "media": media,
        "createdAt": stamp(sheet.created_at),
        "updatedAt": stamp(max([sheet.updated_at, *(each.updated_at for each in sheet.listings)])),
        "publishedAt": stamp(sheet.created_at) if sheet.shown else None,
        "totalInventory": total,
        "tracksInventory": True,
        "hasOnlyDefaultVariant": is_plain,
        "hasOutOfStockVariants": any(each.quantity <= 0 for each in sheet.listings),
        "isGiftCard": False,
        "defaultCursor": sheet.id,
        "options": lambda _info, first=None: option_nodes(sheet)[: first or 3],
        "variants": variants,
        "variantsCount": {"count": len(sheet.listings), "precision": "EXACT"},
    }


def _media_node(picture: Picture) -> Node:
    return {
        "__typename": "MediaImage",
        "id": picture.id,
        "alt": picture.alt or None,
        "image": {"url": picture.url, "width": 1200, "height": 1200},
    }


def product_body(sheet: Sheet) -> Node:
    """The body of products/create and products/update."""
    number = int(sheet.id)
    opened, changed = stamp(sheet.created_at), stamp(sheet.updated_at)
    return {
        "id": number,
        "admin_graphql_api_id": gid("Product", number),
        "title": sheet.title,
        "body_html": sheet.description_html,
        "handle": sheet.handle,
        "vendor": sheet.vendor,
        "product_type": sheet.product_type,
        "status": sheet.status.lower(),
        "published_scope": "global",
        "tags": ", ".join(sorted(sheet.tags, key=str.lower)),
        "template_suffix": None,
        "created_at": opened,
        "published_at": opened if sheet.shown else None,
        "updated_at": changed,
        "options": [
            {**each, "id": number + place, "product_id": number} for place, each in enumerate(option_nodes(sheet))
        ],
        "variants": [_variant_body(sheet, each, place) for place, each in enumerate(sheet.listings, 1)],
        "images": [
            {
                "id": int(each.id.rpartition("/")[2]),
                "product_id": number,
                "position": place,
                "src": each.url,
                "alt": each.alt,
            }
            for place, each in enumerate(sheet.pictures, 1)
        ],
        "image": None,
        "media": [],
    }


def _variant_body(sheet: Sheet, listing: Listing, place: int) -> Node:
    options = [*listing.options, None, None, None]
    return {
        "id": int(listing.id),
        "admin_graphql_api_id": gid("ProductVariant", listing.id),
        "product_id": int(sheet.id),
        "title": variant_title(listing),
        "option1": options[0],
        "option2": options[1],
        "option3": options[2],
        "price": amount(listing.product.price),
        "compare_at_price": amount(listing.compare_at) if listing.compare_at is not None else None,
        "sku": listing.sku,
        "barcode": listing.product.barcode or None,
        "position": place,
        "taxable": True,
        "inventory_item_id": int(listing.keys["item"]),
        "inventory_policy": "deny",
        "inventory_quantity": listing.quantity,
        "old_inventory_quantity": listing.quantity,
        "image_id": None,
        "created_at": stamp(sheet.created_at),
        "updated_at": stamp(listing.updated_at),
    }
