"""What a request may change of a product."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from entrepot.api.amounts import Amount, SkuText, Text255, optional_minor
from entrepot.api.answers import Input
from entrepot.catalog import reading as catalog
from entrepot.catalog.contracts import Image, VariantNotFound
from entrepot.catalog.editing import ProductEdit, VariantEdit
from entrepot.kernel.errors import InvalidInput

Status = Literal["active", "draft", "archived"]
Size = Annotated[int | None, Field(ge=0, le=10_000_000)]
Url = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Options = Annotated[list[Text255] | None, Field(max_length=3)]


class ImageInput(Input):
    """A picture: an address that channels can read, and what it shows."""

    url: Url
    alt: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""


class VariantFields(Input):
    """Fields of a variant; what is absent stays. Null empties compare-at price, cost, weight and sizes."""

    title: Text255 | None = None
    barcode: Text255 | None = None
    option_values: Options = None
    price: Amount | None = None
    compare_at_price: Amount | None = None
    cost: Amount | None = None
    weight_g: Size = None
    length_mm: Size = None
    width_mm: Size = None
    height_mm: Size = None
    image_url: Url | None = None
    position: Annotated[int | None, Field(ge=1, le=100_000)] = None
    state: Literal["active", "archived"] | None = None


class VariantPatch(VariantFields):
    """What to change of the variant with this SKU."""

    sku: SkuText
    new_sku: SkuText | None = None


class VariantAdded(VariantFields):
    """A variant to be added."""

    sku: SkuText


class ProductPatch(Input):
    """What to change of a product; what is absent stays. `price` is that of a product with one variant.

    `version`: of the product as it was read; if it was changed since, nothing is changed. Null takes the category off.
    Variants are taken out of use by `state`, never deleted: stock and orders refer to them. A product that this archives ends
    on its channels, unless `endListings` is false.
    """

    version: Annotated[str | None, Field(max_length=100)] = None
    handle: Annotated[str | None, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] = None
    title: Annotated[Text255 | None, Field(min_length=1)] = None
    description: Annotated[str | None, Field(max_length=100_000, pattern=r"^[^\x00]*$")] = None
    vendor: Text255 | None = None
    product_type: Text255 | None = None
    tags: Annotated[list[Text255] | None, Field(max_length=100)] = None
    option_names: Options = None
    image_url: Annotated[Url | None, Field(description="The only image; see `images`")] = None
    images: Annotated[list[ImageInput] | None, Field(max_length=100)] = None
    category_id: UUID | None = None
    collection_ids: Annotated[list[UUID] | None, Field(max_length=500)] = None
    seo_title: Text255 | None = None
    seo_description: Annotated[str | None, Field(max_length=1000, pattern=r"^[^\x00]*$")] = None
    attributes: Annotated[dict[Text255, Annotated[str, Field(max_length=5000)]] | None, Field(max_length=100)] = None
    status: Status | None = None
    end_listings: bool = True
    price: Amount | None = None
    variants: Annotated[tuple[VariantPatch, ...], Field(max_length=500)] = ()
    added_variants: Annotated[tuple[VariantAdded, ...], Field(max_length=500)] = ()


_AMOUNTS = {"price": "price_minor", "compare_at_price": "compare_at_minor", "cost": "cost_minor"}
_EMPTIED = ("compare_at_price", "cost", "weight_g", "length_mm", "width_mm", "height_mm")


def edit_of(before: catalog.ProductDetail, body: ProductPatch) -> ProductEdit:
    """Return a request as an edit. Raises VariantNotFound, InvalidInput, TooManyDecimals."""
    told = body.model_dump(exclude_unset=True)
    named = ("handle", "title", "description", "vendor", "product_type", "tags", "option_names", "seo_title",
             "seo_description", "attributes", "status")  # fmt: skip
    fields: dict[str, Any] = {name: told[name] for name in named if told.get(name) is not None}
    if "category_id" in told:
        fields["category_id"] = body.category_id
    if body.collection_ids is not None:
        fields["collections"] = sorted(set(body.collection_ids))
    if body.images is not None:
        fields["images"] = [Image(each.url, each.alt) for each in body.images]
    elif body.image_url is not None:
        fields["images"] = [Image(body.image_url)] if body.image_url else []
    patches: list[VariantPatch] = list(body.variants)
    if body.price is not None:
        if len(before.active) != 1:
            raise InvalidInput("This product has several variants: send their prices in `variants`.")
        patches.append(VariantPatch(sku=before.active[0].sku, price=body.price))
    known = {variant.sku: variant for variant in before.variants}
    edits = []
    for patch in patches:
        variant = known.get(patch.sku)
        if variant is None:
            raise VariantNotFound(f"This product has no variant {patch.sku!r}.", sku=patch.sku)
        edits.append(VariantEdit(variant.id, _fields(patch, patch.new_sku, variant.currency)))
    currency = before.variants[0].currency if before.variants else "EUR"
    edits += [VariantEdit(None, _fields(each, each.sku, currency)) for each in body.added_variants]
    return ProductEdit(fields, tuple(edits))


def _fields(patch: VariantFields, sku: str | None, currency: str) -> dict[str, Any]:
    found: dict[str, Any] = {} if sku is None else {"sku": sku}
    for name, value in patch.model_dump(exclude_unset=True, exclude={"sku", "new_sku"}).items():
        if value is None and name not in _EMPTIED:
            continue
        if name in _AMOUNTS:
            found[_AMOUNTS[name]] = optional_minor(value, currency)
        else:
            found[name] = value
    return found
