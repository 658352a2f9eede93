"""Import of products: a file or a channel's listings into catalog and stock together, as a background job in steps.

The same file twice changes nothing, and an old file never overwrites a count: stock is set only for variants that had
none before, unless a person asks for it.
"""

from entrepot.sync.importing.channel import ChannelListings
from entrepot.sync.importing.contracts import (
    PRODUCT_IMPORT,
    ChangedProduct,
    Counts,
    FileIsGone,
    ImportDetail,
    ImportIsBusy,
    ImportIsOver,
    ImportNotFound,
    ImportOptions,
    Source,
    Stage,
)
from entrepot.sync.importing.exporting import FORMATS, UnknownExport, export_products, file_name
from entrepot.sync.importing.reading import (
    changed_products,
    changes_csv,
    check_rows,
    import_detail,
    list_imports,
    problems_csv,
    problems_of,
    rows_csv,
)
from entrepot.sync.importing.receiving import (
    BYTES_MAX,
    SMALL,
    forget,
    go_on,
    spooled,
    stop,
    take_from_channel,
    take_in,
)
from entrepot.sync.importing.working import import_products

__all__ = [
    "BYTES_MAX", "FORMATS", "PRODUCT_IMPORT", "SMALL", "ChangedProduct", "ChannelListings", "Counts", "FileIsGone",
    "ImportDetail", "ImportIsBusy", "ImportIsOver", "ImportNotFound", "ImportOptions", "Source", "Stage",
    "UnknownExport", "changed_products", "changes_csv", "check_rows", "export_products", "file_name", "forget", "go_on",
    "import_detail", "import_products", "list_imports", "problems_csv", "problems_of", "rows_csv", "spooled", "stop",
    "take_from_channel", "take_in",
]  # fmt: skip
