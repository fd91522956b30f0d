"""The service's $metadata document (CSDL XML) and service document, from the entities."""

from xml.sax.saxutils import quoteattr

from sandbox.odata.entities import BY_SET, ENTITIES, Entity

NAMESPACE = "Practice.ERP"


def csdl() -> str:
    """The metadata document, OData 4.0."""
    types = "".join(_entity_type(entity) for entity in ENTITIES.values())
    sets = "".join(
        f'<EntitySet Name="{name}" EntityType="{NAMESPACE}.{one.type_name}"/>'
        for name, one in BY_SET.items()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
        "<edmx:DataServices>"
        f'<Schema Namespace="{NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        f'{types}<EntityContainer Name="Container">{sets}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


def service_document(root: str) -> dict[str, object]:
    """What stands at the service's root: its entity sets."""
    return {
        "@odata.context": f"{root}/$metadata",
        "value": [{"name": name, "kind": "EntitySet", "url": name} for name in BY_SET],
    }


def _entity_type(entity: Entity) -> str:
    key = "".join(f"<PropertyRef Name={quoteattr(name)}/>" for name in entity.key)
    lines = [f'<EntityType Name="{entity.type_name}"><Key>{key}</Key>']
    for one in entity.properties:
        facets = ""
        if one.edm == "Edm.Decimal":
            facets = f' Precision="{one.type.precision}" Scale="{one.type.scale}"'
        if one.edm == "Edm.DateTimeOffset":
            facets = ' Precision="7"'
        nullable = ' Nullable="false"' if one.name in entity.key else ""
        lines.append(f'<Property Name="{one.name}" Type="{one.edm}"{facets}{nullable}/>')
    if entity.table == "sales_order":
        lines.append('<Property Name="OrderDate" Type="Edm.Date" Nullable="false"/>')
    for name, child in entity.navigation.items():
        target = f"Collection({NAMESPACE}.{ENTITIES[child].type_name})"
        lines.append(f'<NavigationProperty Name="{name}" Type="{target}" ContainsTarget="true"/>')
    return "".join(lines) + "</EntityType>"
