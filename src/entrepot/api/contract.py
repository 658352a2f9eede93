"""Every path of the HTTP interface in one table.

The hub's own resources are under `/v1`. The others are the paths that clients were written against before there was a
version: each names the resource that it is the same as (`SAME`), or an operation of (`RESHAPED`). All are below `/api`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from entrepot.api.resources import (
    access,
    allocations,
    approvals,
    bulk,
    conflicts,
    connections,
    files,
    first_contact,
    forecasts,
    fulfilment,
    grouping,
    health,
    imports,
    jobs,
    levels,
    locations,
    matching,
    orders,
    own_prices,
    papers,
    policies,
    pricing,
    products,
    publications,
    purchasing,
    queues,
    reservations,
    runs,
    simulations,
    task_plans,
    task_shapes,
    tasks,
)
from entrepot.identity.facade import Scope


@dataclass(frozen=True, slots=True)
class Path:
    """One method on one path. `scope`: what the actor must have; None: signed in is enough."""

    method: str
    path: str
    handler: Callable[..., Any]
    scope: Scope | None
    answer: Any
    status: int = 200
    public: bool = False
    """Needs no key."""
    lean: bool = False
    """`handler(request, services)` does everything itself, `scope` included."""
    alias_of: str | None = None


P = Path
_ADMIN = Scope.ADMIN
_CHANNELS_READ, _CHANNELS_WRITE = Scope.CHANNELS_READ, Scope.CHANNELS_WRITE
_ORDERS_READ, _ORDERS_WRITE = Scope.ORDERS_READ, Scope.ORDERS_WRITE
_PRODUCTS_READ, _PRODUCTS_WRITE = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
_STOCK_READ, _STOCK_WRITE = Scope.STOCK_READ, Scope.STOCK_WRITE
_SYNC = Scope.SYNC_RUN
_TASKS_READ, _TASKS_PROPOSE = Scope.TASKS_READ, Scope.TASKS_PROPOSE
_TASKS_WORK, _TASKS_APPROVE = Scope.TASKS_WORK, Scope.TASKS_APPROVE

# fmt: off
RESOURCES: tuple[Path, ...] = (
    P("GET", "/v1/health", health.health, None, health.Health, public=True),
    P("GET", "/v1/ready", health.ready, None, health.Readiness, public=True),
    P("GET", "/v1/status", health.status, _CHANNELS_READ, health.Status),

    P("POST", "/v1/sign-in", access.sign_in, None, access.Token, 201, public=True),
    P("POST", "/v1/sign-out", access.sign_out, None, None, 204),
    P("GET", "/v1/me", access.me, None, access.Me),
    P("GET", "/v1/people", access.list_people, _ADMIN, access.People),
    P("POST", "/v1/people", access.add_person, _ADMIN, access.PersonAnswer, 201),
    P("PATCH", "/v1/people/{person_id}", access.change_role, _ADMIN, access.PersonAnswer),
    P("DELETE", "/v1/people/{person_id}", access.remove_person, _ADMIN, None, 204),
    P("POST", "/v1/people/{person_id}/sign-in-link", access.make_sign_in_link, _ADMIN, access.SignInLink, 201),
    P("GET", "/v1/keys", access.list_keys, _ADMIN, access.Keys),
    P("POST", "/v1/keys", access.make_key, _ADMIN, access.MadeKey, 201),
    P("POST", "/v1/agent-tokens", access.make_agent_token, _ADMIN, access.MadeKey, 201),
    P("DELETE", "/v1/keys/{key_id}", access.revoke_key, _ADMIN, None, 204),
    P("GET", "/v1/audit", access.audit, _ADMIN, access.Audit),

    P("GET", "/v1/products", products.list_products, _PRODUCTS_READ, products.Products),
    P("POST", "/v1/products", products.create_product, _PRODUCTS_WRITE, products.OneProduct, 201),
    P("POST", "/v1/products/import", imports.bulk_import, _PRODUCTS_WRITE, imports.Imported),
    P("GET", "/v1/products/export", imports.export_products, _PRODUCTS_READ, None),
    P("GET", "/v1/imports", imports.list_imports, _PRODUCTS_READ, imports.Imports),
    P("POST", "/v1/imports/channel", imports.import_channel, _PRODUCTS_WRITE, imports.Imported, 202),
    P("GET", "/v1/imports/{import_id}", imports.get_import, _PRODUCTS_READ, imports.Imported),
    P("POST", "/v1/imports/{import_id}/apply", imports.apply_import, _PRODUCTS_WRITE, imports.Imported, 202),
    P("GET", "/v1/imports/{import_id}/changes", imports.list_changes, _PRODUCTS_READ, imports.ChangedProducts),
    P("GET", "/v1/imports/{import_id}/files/{name}", imports.download, _PRODUCTS_READ, None),
    P("POST", "/v1/imports/{import_id}/cancel", imports.cancel_import, _PRODUCTS_WRITE, imports.Imported),
    P("GET", "/v1/products/{product_id}", products.get_product, _PRODUCTS_READ, products.OneProduct),
    P("PATCH", "/v1/products/{product_id}", products.update_product, _PRODUCTS_WRITE, products.OneProduct),
    P("DELETE", "/v1/products/{product_id}", products.archive_product, _PRODUCTS_WRITE, None, 204),

    P("GET", "/v1/categories", grouping.list_categories, _PRODUCTS_READ, grouping.Categories),
    P("POST", "/v1/categories", grouping.create_category, _PRODUCTS_WRITE, grouping.OneCategory, 201),
    P("PUT", "/v1/categories/{category_id}", grouping.update_category, _PRODUCTS_WRITE, grouping.OneCategory),
    P("POST", "/v1/categories/{category_id}/merge", grouping.merge_category, _PRODUCTS_WRITE, grouping.Merged),
    P("DELETE", "/v1/categories/{category_id}", grouping.delete_category, _PRODUCTS_WRITE, None, 204),
    P("GET", "/v1/collections", grouping.list_collections, _PRODUCTS_READ, grouping.Collections),
    P("POST", "/v1/collections", grouping.create_collection, _PRODUCTS_WRITE, grouping.OneCollection, 201),
    P("GET", "/v1/collections/{collection_id}", grouping.get_collection, _PRODUCTS_READ, grouping.OneCollection),
    P("PUT", "/v1/collections/{collection_id}", grouping.update_collection, _PRODUCTS_WRITE, grouping.OneCollection),
    P("PUT", "/v1/collections/{collection_id}/products", grouping.set_collection_products, _PRODUCTS_WRITE,
      grouping.OneCollection),
    P("DELETE", "/v1/collections/{collection_id}", grouping.delete_collection, _PRODUCTS_WRITE, None, 204),
    P("GET", "/v1/saved-views", grouping.list_views, _PRODUCTS_READ, grouping.SavedViews),
    P("POST", "/v1/saved-views", grouping.save_view, _PRODUCTS_WRITE, grouping.SavedView, 201),
    P("DELETE", "/v1/saved-views/{view_id}", grouping.delete_view, _PRODUCTS_WRITE, None, 204),
    P("GET", "/v1/price-lists", pricing.list_price_lists, _PRODUCTS_READ, pricing.PriceLists),
    P("POST", "/v1/price-lists", pricing.create_price_list, _PRODUCTS_WRITE, pricing.OnePriceList, 201),
    P("GET", "/v1/price-lists/{price_list_id}", pricing.get_price_list, _PRODUCTS_READ, pricing.OnePriceList),
    P("PUT", "/v1/price-lists/{price_list_id}", pricing.update_price_list, _PRODUCTS_WRITE, pricing.OnePriceList),
    P("DELETE", "/v1/price-lists/{price_list_id}", pricing.delete_price_list, _PRODUCTS_WRITE, None, 204),
    P("GET", "/v1/price-lists/{price_list_id}/prices", pricing.list_explicit, _PRODUCTS_READ, pricing.ExplicitPrices),
    P("PUT", "/v1/price-lists/{price_list_id}/prices", pricing.set_explicit, _PRODUCTS_WRITE, pricing.OnePriceList),
    P("GET", "/v1/connections/{connection_id}/prices", pricing.connection_prices, _PRODUCTS_READ,
      pricing.ChannelPrices),
    P("GET", "/v1/own-prices", own_prices.list_own, _PRODUCTS_READ, own_prices.OwnPrices),
    P("POST", "/v1/own-prices/take-off", own_prices.take_off, _PRODUCTS_WRITE, own_prices.TakenOff),
    P("GET", "/v1/exchange-rates", pricing.list_rates, _PRODUCTS_READ, pricing.Rates),
    P("POST", "/v1/exchange-rates", pricing.save_rates, _PRODUCTS_WRITE, pricing.Rates, 201),
    P("POST", "/v1/bulk-edits/preview", bulk.look, _PRODUCTS_READ, bulk.PreviewView),
    P("GET", "/v1/bulk-edits", bulk.list_bulk_edits, _PRODUCTS_READ, bulk.BulkEdits),
    P("POST", "/v1/bulk-edits", bulk.start, _PRODUCTS_WRITE, bulk.OneBulkEdit, 201),
    P("GET", "/v1/bulk-edits/{bulk_edit_id}", bulk.get_bulk_edit, _PRODUCTS_READ, bulk.OneBulkEdit),
    P("GET", "/v1/bulk-edits/{bulk_edit_id}/items", bulk.list_items, _PRODUCTS_READ, bulk.BulkItems),
    P("POST", "/v1/bulk-edits/{bulk_edit_id}/undo", bulk.undo, _PRODUCTS_WRITE, bulk.OneBulkEdit),

    P("GET", "/v1/orders", orders.list_orders, _ORDERS_READ, orders.Orders),
    P("GET", "/v1/orders/{order_id}", orders.get_order, _ORDERS_READ, orders.OneOrder),
    P("POST", "/v1/orders/{order_id}/shipments", orders.fulfil, _ORDERS_WRITE, orders.Fulfilled, 201),

    P("GET", "/v1/fulfilment-orders", fulfilment.list_fulfilment_orders, _ORDERS_READ, fulfilment.FulfilmentOrders),
    P("GET", "/v1/fulfilment-orders/{fulfilment_order_id}", fulfilment.get_fulfilment_order, _ORDERS_READ,
      fulfilment.OneFulfilmentOrder),
    P("POST", "/v1/fulfilment-orders/{fulfilment_order_id}/begin", fulfilment.begin, _ORDERS_WRITE,
      fulfilment.OneFulfilmentOrder),
    P("PUT", "/v1/fulfilment-orders/{fulfilment_order_id}/picked", fulfilment.pick, _ORDERS_WRITE,
      fulfilment.OneFulfilmentOrder),
    P("POST", "/v1/fulfilment-orders/{fulfilment_order_id}/pack", fulfilment.pack, _ORDERS_WRITE,
      fulfilment.OneFulfilmentOrder),
    P("POST", "/v1/fulfilment-orders/{fulfilment_order_id}/reopen", fulfilment.reopen, _ORDERS_WRITE,
      fulfilment.OneFulfilmentOrder),
    P("POST", "/v1/fulfilment-orders/{fulfilment_order_id}/shipments", fulfilment.send, _ORDERS_WRITE,
      fulfilment.Sent, 201),
    P("POST", "/v1/fulfilment-orders/{fulfilment_order_id}/move", fulfilment.send_from, _ORDERS_WRITE,
      fulfilment.OneFulfilmentOrder),
    P("GET", "/v1/parked-lines", fulfilment.list_parked, _ORDERS_READ, fulfilment.ParkedLines),
    P("GET", "/v1/routing-rules", fulfilment.list_rules, _ORDERS_READ, fulfilment.RulesVersions),
    P("POST", "/v1/routing-rules", fulfilment.create_rules, _ORDERS_WRITE, fulfilment.OneRules, 201),
    P("POST", "/v1/routing-rules/try", fulfilment.try_rules, _ORDERS_READ, fulfilment.ComparedView),
    P("POST", "/v1/routing-rules/{number}/put-in-force", fulfilment.put_in_force, _ORDERS_WRITE, fulfilment.OneRules),
    P("GET", "/v1/routing-places", fulfilment.list_places, _ORDERS_READ, fulfilment.RoutingPlaces),
    P("PUT", "/v1/routing-places/{location_id}", fulfilment.describe_place, _ORDERS_WRITE, fulfilment.RoutingPlaces),

    P("GET", "/v1/stock", levels.list_stock, _STOCK_READ, levels.Stocks),
    P("GET", "/v1/stock/{variant_id}", levels.get_stock, _STOCK_READ, levels.OneStock),
    P("GET", "/v1/stock/{variant_id}/movements", levels.list_movements, _STOCK_READ, levels.Movements),
    P("PUT", "/v1/stock/{variant_id}/safety-stock", levels.set_safety_stock, _STOCK_WRITE, levels.OneStock),
    P("POST", "/v1/stock-adjustments", levels.adjust, _STOCK_WRITE, levels.Adjusted, 201),
    P("PUT", "/v1/stock/{variant_id}/damaged", levels.set_damaged, _STOCK_WRITE, levels.OneStock),
    P("GET", "/v1/stock/{variant_id}/replenishment", queues.get_replenishment, _STOCK_READ, queues.Replenishment),
    P("PUT", "/v1/stock/{variant_id}/reorder-rules/{location_id}", queues.set_rule, _STOCK_WRITE,
      queues.Replenishment),
    P("PUT", "/v1/stock/{variant_id}/low-stock-threshold", queues.set_variant_threshold, _STOCK_WRITE, None, 204),
    P("PUT", "/v1/products/{product_id}/low-stock-threshold", queues.set_product_threshold, _STOCK_WRITE, None, 204),
    P("GET", "/v1/stock/{variant_id}/forecast", forecasts.get_forecast, _STOCK_READ, forecasts.OneForecast),
    P("POST", "/v1/forecasts", forecasts.start, _STOCK_WRITE, forecasts.ForecastStarted, 202),
    P("GET", "/v1/bundles/{variant_id}", queues.get_bundle, _STOCK_READ, queues.Bundle),
    P("PUT", "/v1/bundles/{variant_id}", queues.set_bundle, _STOCK_WRITE, queues.Bundle),
    P("GET", "/v1/movements", locations.list_ledger, _STOCK_READ, locations.LedgerLines),
    P("GET", "/v1/locations", locations.list_locations, _STOCK_READ, locations.Locations),
    P("POST", "/v1/locations", locations.create_location, _STOCK_WRITE, locations.OneLocation, 201),
    P("PUT", "/v1/location-order", locations.order_locations, _STOCK_WRITE, locations.Locations),
    P("PATCH", "/v1/locations/{location_id}", locations.update_location, _STOCK_WRITE, locations.OneLocation),
    P("POST", "/v1/locations/{location_id}/deactivate", locations.deactivate_location, _STOCK_WRITE,
      locations.OneLocation),
    P("POST", "/v1/locations/{location_id}/activate", locations.activate_location, _STOCK_WRITE,
      locations.OneLocation),
    P("GET", "/v1/transfers", papers.list_transfers, _STOCK_READ, papers.Transfers),
    P("POST", "/v1/transfers", papers.create_transfer, _STOCK_WRITE, papers.OneTransfer, 201),
    P("GET", "/v1/transfers/{transfer_id}", papers.get_transfer, _STOCK_READ, papers.OneTransfer),
    P("PUT", "/v1/transfers/{transfer_id}/lines", papers.change_transfer, _STOCK_WRITE, papers.OneTransfer),
    P("POST", "/v1/transfers/{transfer_id}/ship", papers.ship_transfer, _STOCK_WRITE, papers.OneTransfer),
    P("POST", "/v1/transfers/{transfer_id}/receive", papers.receive_transfer, _STOCK_WRITE, papers.OneTransfer),
    P("POST", "/v1/transfers/{transfer_id}/cancel", papers.cancel_transfer, _STOCK_WRITE, papers.OneTransfer),
    P("GET", "/v1/counts", papers.list_counts, _STOCK_READ, papers.Counts),
    P("POST", "/v1/counts", papers.create_count, _STOCK_WRITE, papers.OneCount, 201),
    P("GET", "/v1/counts/{count_id}", papers.get_count, _STOCK_READ, papers.OneCount),
    P("GET", "/v1/counts/{count_id}/lines", papers.list_count_lines, _STOCK_READ, papers.CountLines),
    P("PUT", "/v1/counts/{count_id}/lines", papers.record_counts, _STOCK_WRITE, papers.OneCount),
    P("POST", "/v1/counts/{count_id}/confirm", papers.confirm_count, _STOCK_WRITE, papers.OneCount),
    P("POST", "/v1/counts/{count_id}/cancel", papers.cancel_count, _STOCK_WRITE, papers.OneCount),
    P("GET", "/v1/suppliers", purchasing.list_suppliers, _STOCK_READ, purchasing.Suppliers),
    P("POST", "/v1/suppliers", purchasing.create_supplier, _STOCK_WRITE, purchasing.OneSupplier, 201),
    P("GET", "/v1/suppliers/{supplier_id}", purchasing.get_supplier, _STOCK_READ, purchasing.OneSupplier),
    P("PATCH", "/v1/suppliers/{supplier_id}", purchasing.update_supplier, _STOCK_WRITE, purchasing.OneSupplier),
    P("GET", "/v1/suppliers/{supplier_id}/items", purchasing.list_offers, _STOCK_READ, purchasing.Offers),
    P("PUT", "/v1/suppliers/{supplier_id}/items", purchasing.put_offers, _STOCK_WRITE, purchasing.OneSupplier),
    P("DELETE", "/v1/suppliers/{supplier_id}/items/{variant_id}", purchasing.drop_offer, _STOCK_WRITE,
      purchasing.OneSupplier),
    P("GET", "/v1/purchase-orders", purchasing.list_purchases, _STOCK_READ, purchasing.Purchases),
    P("POST", "/v1/purchase-orders", purchasing.create_purchase, _STOCK_WRITE, purchasing.OnePurchase, 201),
    P("GET", "/v1/purchase-orders/{purchase_order_id}", purchasing.get_purchase, _STOCK_READ,
      purchasing.OnePurchase),
    P("PUT", "/v1/purchase-orders/{purchase_order_id}/lines", purchasing.change_purchase, _STOCK_WRITE,
      purchasing.OnePurchase),
    P("POST", "/v1/purchase-orders/{purchase_order_id}/order", purchasing.order_purchase, _STOCK_WRITE,
      purchasing.OnePurchase),
    P("POST", "/v1/purchase-orders/{purchase_order_id}/receive", purchasing.receive_purchase, _STOCK_WRITE,
      purchasing.OnePurchase),
    P("POST", "/v1/purchase-orders/{purchase_order_id}/cancel", purchasing.cancel_purchase, _STOCK_WRITE,
      purchasing.OnePurchase),
    P("GET", "/v1/shortages", queues.list_shortages, _STOCK_READ, queues.Shortages),
    P("POST", "/v1/shortages/{shortage_id}/remedy", queues.remedy_shortage, _STOCK_WRITE, queues.Remedied),
    P("GET", "/v1/exports/{name}", files.export, _STOCK_READ, None),
    P("POST", "/v1/stock-files", files.take_in, _STOCK_WRITE, files.FileReport),
    P("GET", "/v1/stock-files/{job_id}", files.get_file, _STOCK_READ, files.FileReport),
    P("GET", "/v1/stock-files/{job_id}/problems", files.problems, _STOCK_READ, None),
    P("POST", "/v1/stock-files/{job_id}/cancel", files.cancel_file, _STOCK_WRITE, files.FileReport),
    P("GET", "/v1/low-stock", queues.list_alerts, _STOCK_READ, queues.Alerts),
    P("POST", "/v1/low-stock/{alert_id}/seen", queues.see_alert, _STOCK_WRITE, None, 204),
    P("GET", "/v1/reorder-suggestions", queues.list_suggestions, _STOCK_READ, queues.Suggestions),
    P("POST", "/v1/reorder-suggestions/buy", queues.buy_suggested, _STOCK_WRITE, queues.Bought, 201),
    P("POST", "/v1/reorder-suggestions/{suggestion_id}/dismiss", queues.dismiss_suggestion, _STOCK_WRITE, None, 204),
    P("POST", "/v1/reservations", reservations.reserve, _STOCK_WRITE, reservations.Reserved, 201, lean=True),
    P("GET", "/v1/reservations", reservations.list_all, _STOCK_READ, reservations.Reservations),
    P("GET", "/v1/reservations/{reservation_id}", reservations.get, _STOCK_READ, reservations.OneReservation),
    P("POST", "/v1/reservations/{reservation_id}/extend", reservations.extend, _STOCK_WRITE,
      reservations.OneReservation),
    P("DELETE", "/v1/reservations/{reservation_id}", reservations.delete, _STOCK_WRITE, None, 204),

    P("GET", "/v1/products/{product_id}/allocation", allocations.get_allocation, _STOCK_READ,
      allocations.OneAllocation),
    P("POST", "/v1/products/{product_id}/allocation", allocations.allocate, _STOCK_WRITE, allocations.OneAllocation),
    P("GET", "/v1/allocation-policy", allocations.get_policy, _STOCK_READ, allocations.OnePolicy),
    P("PUT", "/v1/allocation-policy", allocations.set_policy, _STOCK_WRITE, allocations.OnePolicy),
    P("DELETE", "/v1/allocation-policy", policies.drop_shop_policy, _STOCK_WRITE, None, 204),
    P("POST", "/v1/allocation-policy/preview", policies.preview, _STOCK_READ, policies.OnePreview),
    P("GET", "/v1/allocation-policies", policies.list_policies, _STOCK_READ, policies.StoredPolicies),
    P("GET", "/v1/categories/{category_id}/allocation-policy", policies.get_category_policy, _STOCK_READ,
      policies.OneScopedPolicy),
    P("PUT", "/v1/categories/{category_id}/allocation-policy", policies.set_category_policy, _STOCK_WRITE,
      policies.OneScopedPolicy),
    P("DELETE", "/v1/categories/{category_id}/allocation-policy", policies.drop_category_policy, _STOCK_WRITE, None, 204),
    P("GET", "/v1/products/{product_id}/allocation-policy", policies.get_product_policy, _STOCK_READ,
      policies.OneScopedPolicy),
    P("PUT", "/v1/products/{product_id}/allocation-policy", policies.set_product_policy, _STOCK_WRITE,
      policies.OneScopedPolicy),
    P("DELETE", "/v1/products/{product_id}/allocation-policy", policies.drop_product_policy, _STOCK_WRITE, None, 204),
    P("GET", "/v1/allocation-limits", policies.list_limits, _STOCK_READ, policies.LimitViews),
    P("PUT", "/v1/allocation-limits", policies.set_limit, _STOCK_WRITE, policies.LimitViews),
    P("GET", "/v1/channel-lags", policies.list_lags, _STOCK_READ, policies.Lags),
    P("GET", "/v1/sales-rates", policies.list_rates, _STOCK_READ, policies.Rates),

    P("GET", "/v1/order-files", simulations.list_files, _STOCK_READ, simulations.OrderFiles),
    P("POST", "/v1/order-files", simulations.keep_file, _STOCK_WRITE, simulations.OrderFiles, 201),
    P("GET", "/v1/simulations", simulations.list_simulations, _STOCK_READ, simulations.Simulations),
    P("POST", "/v1/simulations", simulations.start, _STOCK_WRITE, simulations.OneSimulation, 202),
    P("GET", "/v1/simulations/{simulation_id}", simulations.get_simulation, _STOCK_READ, simulations.OneSimulation),
    P("GET", "/v1/simulations/{simulation_id}/results", simulations.results, _STOCK_READ, None),
    P("POST", "/v1/simulations/{simulation_id}/cancel", simulations.cancel, _STOCK_WRITE, simulations.OneSimulation),
    P("DELETE", "/v1/simulations/{simulation_id}", simulations.delete, _STOCK_WRITE, None, 204),

    P("GET", "/v1/channels", connections.list_manifests, _CHANNELS_READ, connections.Manifests),
    P("GET", "/v1/connections", connections.list_connections, _CHANNELS_READ, connections.Connections),
    P("POST", "/v1/connections", connections.connect, _CHANNELS_WRITE, connections.OneConnection, 201),
    P("GET", "/v1/connections/{connection_id}", connections.get_connection, _CHANNELS_READ,
      connections.OneConnection),
    P("PATCH", "/v1/connections/{connection_id}", connections.update_connection, _CHANNELS_WRITE,
      connections.OneConnection),
    P("DELETE", "/v1/connections/{connection_id}", connections.disconnect, _CHANNELS_WRITE, None, 204),
    P("POST", "/v1/connections/{connection_id}/test", connections.test_connection, _CHANNELS_WRITE,
      connections.TestReport),
    P("GET", "/v1/connections/{connection_id}/first-comparison", first_contact.get_comparison, _CHANNELS_READ,
      first_contact.OneFirstComparison),
    P("PUT", "/v1/connections/{connection_id}/first-comparison", first_contact.choose, _CHANNELS_WRITE,
      first_contact.OneFirstComparison),
    P("POST", "/v1/connections/{connection_id}/pause", connections.pause, _CHANNELS_WRITE, connections.OneConnection),
    P("POST", "/v1/connections/{connection_id}/resume", connections.resume, _CHANNELS_WRITE,
      connections.OneConnection),

    P("GET", "/v1/match-candidates", matching.list_candidates, _PRODUCTS_READ, matching.Candidates),
    P("GET", "/v1/match-candidates/export", matching.export, _PRODUCTS_READ, None),
    P("POST", "/v1/match-candidates/accept-above", matching.accept_above, _PRODUCTS_WRITE, matching.ManyMatched),
    P("GET", "/v1/match-candidates/{candidate_id}", matching.get_candidate, _PRODUCTS_READ, matching.OneCandidate),
    P("POST", "/v1/match-candidates/{candidate_id}/accept", matching.accept, _PRODUCTS_WRITE, matching.OneCandidate),
    P("POST", "/v1/match-candidates/{candidate_id}/reject", matching.reject, _PRODUCTS_WRITE, matching.OneCandidate),
    P("POST", "/v1/match-candidates/{candidate_id}/reopen", matching.reopen, _PRODUCTS_WRITE, matching.OneCandidate),
    P("GET", "/v1/unlike-listings", matching.list_unlike, _PRODUCTS_READ, matching.Unlike),
    P("POST", "/v1/publications", publications.publish, _PRODUCTS_WRITE, publications.Published, 202),
    P("POST", "/v1/publications/retry", publications.retry, _PRODUCTS_WRITE, publications.Retried),
    P("GET", "/v1/publications/{intent_id}", publications.get_listing, _PRODUCTS_READ, publications.OneListing),
    P("GET", "/v1/listings", publications.list_listings, _PRODUCTS_READ, publications.Listings),
    P("GET", "/v1/listings/export", publications.export, _PRODUCTS_READ, None),
    P("PUT", "/v1/listings/{listing_id}/variant", matching.assign, _PRODUCTS_WRITE, matching.Matched),
    P("DELETE", "/v1/listings/{listing_id}/variant", matching.unmatch, _PRODUCTS_WRITE, None, 204),
    P("POST", "/v1/listings/{listing_id}/product", matching.make_product, _PRODUCTS_WRITE, matching.Matched, 201),
    P("GET", "/v1/match-settings", matching.get_settings, _PRODUCTS_READ, matching.Settings),
    P("PUT", "/v1/match-settings", matching.set_settings, _PRODUCTS_WRITE, matching.Settings),

    P("GET", "/v1/sync", runs.status, _CHANNELS_READ, runs.SyncStatus),
    P("POST", "/v1/sync/start", runs.start, _CHANNELS_WRITE, runs.SyncStatus),
    P("POST", "/v1/sync/stop", runs.stop, _CHANNELS_WRITE, runs.SyncStatus),
    P("PUT", "/v1/sync/interval", runs.set_interval, _CHANNELS_WRITE, runs.SyncStatus),
    P("GET", "/v1/runs", runs.list_runs, _CHANNELS_READ, runs.Runs),
    P("POST", "/v1/runs", runs.trigger, _SYNC, runs.Triggered, 202),
    P("GET", "/v1/runs/{run_id}", runs.get_run, _CHANNELS_READ, runs.OneRun),
    P("POST", "/v1/runs/{run_id}/cancel", runs.cancel_run, _SYNC, runs.OneRun),
    P("GET", "/v1/jobs", jobs.list_jobs, _CHANNELS_READ, jobs.Jobs),
    P("GET", "/v1/jobs/{job_id}", jobs.get_job, _CHANNELS_READ, jobs.OneJob),
    P("POST", "/v1/jobs/{job_id}/cancel", jobs.cancel_job, _SYNC, jobs.OneJob),
    P("POST", "/v1/jobs/{job_id}/retry", jobs.retry_job, _SYNC, jobs.OneJob),
    P("POST", "/v1/jobs/{job_id}/dismiss", jobs.dismiss_job, _SYNC, jobs.OneJob),
    P("GET", "/v1/conflicts", conflicts.list_conflicts, _PRODUCTS_READ, conflicts.Conflicts),
    P("GET", "/v1/conflicts/{conflict_id}", conflicts.get_conflict, _PRODUCTS_READ, conflicts.OneConflict),
    P("POST", "/v1/conflicts/{conflict_id}/resolve", conflicts.resolve, _PRODUCTS_WRITE, conflicts.Resolved),
    P("POST", "/v1/conflicts/{conflict_id}/undo", conflicts.undo, _PRODUCTS_WRITE, conflicts.OneConflict),
    P("GET", "/v1/conflict-policies", conflicts.list_policies, _PRODUCTS_READ, conflicts.Policies),
    P("PUT", "/v1/conflict-policies", conflicts.set_policy, _CHANNELS_WRITE, conflicts.Policies),
    P("DELETE", "/v1/conflict-policies", conflicts.remove_policy, _CHANNELS_WRITE, None, 204),
    P("GET", "/v1/conflict-policies/preview", conflicts.preview_policy, _PRODUCTS_READ, conflicts.OnePreview),
    P("PUT", "/v1/listings/{listing_id}/overrides/{field}", conflicts.set_override, _PRODUCTS_WRITE, None, 204),
    P("DELETE", "/v1/listings/{listing_id}/overrides/{field}", conflicts.remove_override, _PRODUCTS_WRITE, None, 204),
    P("GET", "/v1/queues", runs.queue_stats, _CHANNELS_READ, runs.QueueStats),

    P("GET", "/v1/tasks", tasks.list_tasks, _TASKS_READ, task_shapes.Tasks),
    P("POST", "/v1/tasks", tasks.create_task, _TASKS_PROPOSE, task_shapes.OneTask, 201),
    P("POST", "/v1/tasks/decide", tasks.decide_tasks, _TASKS_APPROVE, task_shapes.DecisionResults),
    P("GET", "/v1/tasks/{task_id}", tasks.get_task, _TASKS_READ, task_shapes.OneTask),
    P("PATCH", "/v1/tasks/{task_id}", tasks.update_task, _TASKS_PROPOSE, task_shapes.OneTask),
    P("GET", "/v1/tasks/{task_id}/history", tasks.task_history, _TASKS_READ, task_shapes.History),
    P("POST", "/v1/tasks/{task_id}/submit", tasks.submit_task, _TASKS_PROPOSE, task_shapes.OneTask),
    P("POST", "/v1/tasks/{task_id}/assign", tasks.assign_task, _TASKS_APPROVE, task_shapes.OneTask),
    P("POST", "/v1/tasks/{task_id}/complete", tasks.complete_task, _TASKS_WORK, task_shapes.OneTask),
    P("POST", "/v1/tasks/{task_id}/comments", tasks.comment_task, _TASKS_WORK, task_shapes.Commented, 201),
    P("POST", "/v1/tasks/{task_id}/look", tasks.look_task, _TASKS_READ, task_shapes.OneTask),
    P("POST", "/v1/tasks/{task_id}/undo", tasks.undo_task, _TASKS_APPROVE, task_shapes.OneTask),
    P("GET", "/v1/actions", tasks.list_actions, _TASKS_READ, task_shapes.Actions),
    P("GET", "/v1/task-templates", task_plans.list_templates, _TASKS_READ, task_plans.Templates),
    P("POST", "/v1/task-templates", task_plans.create_template, _TASKS_APPROVE, task_plans.OneTemplate, 201),
    P("PUT", "/v1/task-templates/{template_id}", task_plans.update_template, _TASKS_APPROVE, task_plans.OneTemplate),
    P("DELETE", "/v1/task-templates/{template_id}", task_plans.delete_template, _TASKS_APPROVE, None, 204),
    P("GET", "/v1/task-metrics", task_plans.get_metrics, _TASKS_READ, task_plans.TaskMetrics),
    P("GET", "/v1/task-estimate", task_plans.get_estimate, _TASKS_READ, task_plans.Estimate),
    P("GET", "/v1/approval-policies", approvals.list_policies, _TASKS_READ, approvals.ApprovalPolicies),
    P("POST", "/v1/approval-policies", approvals.create_policy, _TASKS_APPROVE, approvals.OneApprovalPolicy, 201),
    P("POST", "/v1/approval-policies/try", approvals.try_policy, _TASKS_READ, approvals.Trial),
    P("PUT", "/v1/approval-policies/{policy_id}", approvals.update_policy, _TASKS_APPROVE, approvals.OneApprovalPolicy),
    P("PUT", "/v1/approval-policies/{policy_id}/enabled", approvals.switch_policy, _TASKS_APPROVE,
      approvals.OneApprovalPolicy),
    P("DELETE", "/v1/approval-policies/{policy_id}", approvals.delete_policy, _TASKS_APPROVE, None, 204),
    P("GET", "/v1/stop-all", approvals.get_switch, _TASKS_READ, approvals.StopView),
    P("PUT", "/v1/stop-all", approvals.set_switch, _TASKS_APPROVE, approvals.StopView),
    P("GET", "/v1/teams", approvals.list_teams, _TASKS_READ, approvals.Teams),
    P("POST", "/v1/teams", approvals.create_team, _TASKS_APPROVE, approvals.OneTeam, 201),
    P("PUT", "/v1/teams/{team_id}", approvals.update_team, _TASKS_APPROVE, approvals.OneTeam),
    P("DELETE", "/v1/teams/{team_id}", approvals.delete_team, _TASKS_APPROVE, None, 204),
    P("GET", "/v1/task-routes", approvals.list_routes, _TASKS_READ, approvals.Routes),
    P("PUT", "/v1/task-routes", approvals.set_routes, _TASKS_APPROVE, approvals.Routes),
)

SAME: tuple[tuple[str, str], ...] = (
    ("GET /health", "GET /v1/health"),
    ("GET /status", "GET /v1/status"),

    ("GET /products", "GET /v1/products"),
    ("POST /products", "POST /v1/products"),
    ("POST /products/bulk-import", "POST /v1/products/import"),
    ("GET /products/{product_id}", "GET /v1/products/{product_id}"),
    ("PUT /products/{product_id}", "PATCH /v1/products/{product_id}"),
    ("DELETE /products/{product_id}", "DELETE /v1/products/{product_id}"),

    ("GET /orders", "GET /v1/orders"),
    ("GET /orders/{order_id}", "GET /v1/orders/{order_id}"),
    ("POST /orders/{order_id}/fulfill", "POST /v1/orders/{order_id}/shipments"),

    ("GET /sync/status", "GET /v1/sync"),
    ("POST /sync/start", "POST /v1/sync/start"),
    ("POST /sync/stop", "POST /v1/sync/stop"),
    ("POST /sync/interval", "PUT /v1/sync/interval"),
    ("POST /sync/trigger", "POST /v1/runs"),

    ("GET /multi-channel/health", "GET /v1/health"),
    ("GET /multi-channel/sync/status", "GET /v1/sync"),
    ("POST /multi-channel/inventory/allocate/{product_id}", "POST /v1/products/{product_id}/allocation"),
    ("GET /multi-channel/inventory/allocation/{product_id}", "GET /v1/products/{product_id}/allocation"),
    ("POST /multi-channel/inventory/reserve", "POST /v1/reservations"),
    ("GET /multi-channel/conflicts", "GET /v1/conflicts"),
    ("POST /multi-channel/conflicts/{conflict_id}/resolve", "POST /v1/conflicts/{conflict_id}/resolve"),
    ("GET /multi-channel/queue/stats", "GET /v1/queues"),
)
"""Older path, and the resource that answers it, with its handler, scope and answer."""

RESHAPED: tuple[Path, ...] = (
    P("GET", "/channels", connections.list_channels, _CHANNELS_READ, connections.Channels,
      alias_of="/v1/connections"),
    P("POST", "/channels", connections.connect_channel, _CHANNELS_WRITE, connections.OneChannel, 201,
      alias_of="/v1/connections"),
    P("PUT", "/channels/{channel_id}", connections.update_channel, _CHANNELS_WRITE, connections.OneChannel,
      alias_of="/v1/connections/{connection_id}"),
    P("DELETE", "/channels/{channel_id}", connections.disconnect_channel, _CHANNELS_WRITE, None, 204,
      alias_of="/v1/connections/{connection_id}"),
    P("POST", "/channels/{channel_id}/sync", runs.sync_channel, _SYNC, runs.Triggered, 202, alias_of="/v1/runs"),
    P("POST", "/sync/run-full", runs.run_full, _SYNC, runs.Triggered, 202, alias_of="/v1/runs"),

    P("GET", "/multi-channel/channels", connections.list_channels, _CHANNELS_READ, connections.Channels,
      alias_of="/v1/connections"),
    P("POST", "/multi-channel/channels/connect", connections.connect_channel, _CHANNELS_WRITE, connections.OneChannel,
      201, alias_of="/v1/connections"),
    P("DELETE", "/multi-channel/channels/{channel_id}", connections.disconnect_channel, _CHANNELS_WRITE, None, 204,
      alias_of="/v1/connections/{connection_id}"),
    P("POST", "/multi-channel/sync/all", runs.run_full, _SYNC, runs.Triggered, 202, alias_of="/v1/runs"),
    P("POST", "/multi-channel/sync/channel/{channel_id}", runs.sync_channel, _SYNC, runs.Triggered, 202,
      alias_of="/v1/runs"),
    P("POST", "/multi-channel/inventory/release", reservations.release, _STOCK_WRITE, reservations.Released,
      alias_of="/v1/reservations/{reservation_id}"),

    P("POST", "/orchestration/tasks", tasks.agent_create, _TASKS_PROPOSE, task_shapes.OneOlderTask, 201,
      alias_of="/v1/tasks"),
    P("GET", "/orchestration/tasks", tasks.older_list, _TASKS_READ, task_shapes.OlderTasks, alias_of="/v1/tasks"),
    P("PATCH", "/orchestration/tasks/approve", tasks.decide, _TASKS_APPROVE, task_shapes.DecisionResults,
      alias_of="/v1/tasks/decide"),
    P("PATCH", "/orchestration/tasks/assign", tasks.older_assign, _TASKS_APPROVE, task_shapes.OneOlderTask,
      alias_of="/v1/tasks/{task_id}/assign"),
    P("PATCH", "/orchestration/tasks/complete", tasks.older_complete, _TASKS_WORK, task_shapes.OneOlderTask,
      alias_of="/v1/tasks/{task_id}/complete"),
)
"""Older paths whose parameters or answers are named otherwise than the resource's."""
# fmt: on


def _aliases() -> tuple[Path, ...]:
    resources = {f"{path.method} {path.path}": path for path in RESOURCES}
    same = []
    for older, resource in SAME:
        method, _, path = older.partition(" ")
        same.append(replace(resources[resource], method=method, path=path, alias_of=resources[resource].path))
    return (*same, *RESHAPED)


ALIASES = _aliases()

ELSEWHERE = ("/api/multi-channel/webhooks/{channelType}", "/webhooks/shopify/{topic}", "/webhooks/{connectionId}")
"""Deliveries of channels: bare handlers that verify, store and answer, mounted by app.py (entrepot.channels.inbox)."""

PATHS = RESOURCES + ALIASES
LARGER_BODIES = frozenset({"/products/bulk-import", "/v1/products/import", "/v1/stock-files", "/v1/order-files"})
"""Paths that accept whole files."""
