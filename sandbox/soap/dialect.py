"""What the SOAP ERP calls things: per operation the elements of its records, and its code words.

A line of a record is `ELEMENT=column:form:argument`; forms are those of `sandbox.soap.forms`.
Declares only; must not render, and must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CODES: Mapping[str, Mapping[str, str]] = {
    "dealer_status": {"active": "A", "blocked": "G", "closed": "L"},
    "group_kind": {
        "tier": "KONDA",
        "price_list": "PLTYP",
        "buying_group": "EKVBD",
        "customer_group": "KDGRP",
        "contract": "VTRAG",
        "campaign": "AKTNR",
        "catalogue": "KATAL",
    },
    "address_kind": {"bill_to": "RE", "ship_to": "WE", "postal": "PF", "main": "AG"},
    "language": {"de": "D", "en": "E", "tr": "T", "fr": "F"},
    "unit": {"PCE": "ST", "BOX": "KAR", "KGM": "KG"},
    "material_status": {
        "active": "10",
        "phase_out": "20",
        "discontinued": "30",
        "blocked": "90",
    },
    "material_document": {
        "image": "BLD",
        "data_sheet": "DBL",
        "safety_sheet": "SDB",
        "certificate": "ZRT",
        "cad": "CAD",
        "manual": "HDB",
    },
    "substitute_kind": {"alternative": "1", "successor": "2", "accessory": "3"},
    "dealer_scope": {"all": "*", "group": "G", "dealer": "K", "account": "R"},
    "product_scope": {"all": "*", "category": "W", "product": "M", "cart": "B"},
    "grant_dealer": {"all": "*", "group": "G", "dealer": "K"},
    "grant_product": {"all": "*", "category": "W", "product": "M"},
    "effect": {"allow": "+", "deny": "-"},
    "condition": {
        "quote": "ZANG",
        "customer": "ZKUN",
        "contract": "ZVTR",
        "promo": "ZAKT",
        "scale": "ZSTA",
        "group": "ZGRP",
        "list": "PR00",
    },
    "combine": {"compete": "W", "cumulate": "K"},
    "expected_kind": {"transit": "UL", "purchase": "BE", "production": "FE"},
    "invoice_kind": {
        "invoice": "RV",
        "credit_note": "RG",
        "debit_note": "RL",
        "adjustment": "AB",
        "carried_forward": "UE",
    },
    "line_kind": {
        "item": "TAN",
        "freight": "FRA",
        "charge": "ZUS",
        "discount": "RAB",
        "text": "TXT",
    },
    "payment_kind": {"payment": "DZ", "refund": "KZ", "write_off": "AU", "adjustment": "AB"},
    "document_kind": {
        "invoice": "RECH",
        "credit_note": "GUTS",
        "delivery_note": "LIEF",
        "order_confirmation": "AUFB",
        "statement": "KTOA",
        "receipt": "QUIT",
        "certificate": "ZERT",
        "reminder": "MAHN",
    },
    "subject": {
        "invoice": "VBRK",
        "payment": "BKPF",
        "order": "VBAK",
        "shipment": "LIKP",
        "account": "KNA1",
        "product": "MARA",
    },
    "channel": {
        "portal": "WEB",
        "edi": "EDI",
        "phone": "TEL",
        "mail": "EML",
        "fax": "FAX",
        "rep": "ADM",
        "counter": "THK",
        "other": "SON",
    },
    "order_status": {
        "pending": "01",
        "approved": "02",
        "processing": "03",
        "shipped": "04",
        "delivered": "05",
        "rejected": "91",
        "held": "92",
        "cancelled": "93",
    },
    "event_kind": {
        "received": "EING",
        "sent": "GESE",
        "acknowledged": "BEST",
        "status": "STAT",
        "changed": "AEND",
        "refused": "ABGL",
        "shipped": "WAUS",
        "delivered": "ZUGE",
        "invoiced": "FAKT",
        "note": "NOTI",
    },
    "event_source": {"erp": "S", "portal": "P", "waybill": "W"},
}
"""Ours → theirs. Words that are not listed pass as they are."""


@dataclass(frozen=True)
class Record:
    """One record: the table it comes from, its elements, and lists of records inside it.

    `inside`: element of the list → (table, column naming this record's key, elements).
    """

    table: str
    elements: str
    inside: Mapping[str, tuple[str, str, str]]
    delta: bool = False
    """Answers changes since a stamp, with deletion markers."""


OPERATIONS: Mapping[str, tuple[str, Record]] = {
    "GetCustomerList": (
        "CUSTOMERS",
        Record(
            "dealer",
            """KUNNR=key NAME1=name STATU=status:code:dealer_status HKUNNR=parent_key
            KNRZE=account_key KNKLI=credit_account_key AUFSD=order_block:x
            AUFSD_TXT=order_block_reason KDART=dealer_type REGIO=region LAND1=country
            VTRAR=contract_type WAERS=currency SPRAS=language:code:language STCEG=tax_no
            TAXZO=tax_zone ZTERM=terms_code ZTERM_TXT=terms_text ZTAG1=payment_days:pad:3
            ZTAG2=discount_days:pad:3 ZPRZ1=discount_pct:num GRRAB=standard_discount_pct:num
            MINBW=min_order_amount:num KZTLF=partial_delivery:x VWERK=warehouse_key
            VSBED=delivery_method PERNR=sales_rep_key VNAME=sales_rep_name
            VMAIL=sales_rep_email ERDAT=opened_on:date ZUSATZ=attributes""",
            {
                "GROUPS": (
                    "dealer_group",
                    "dealer_key",
                    """GRART=kind:code:group_kind GRUPP=group_key BEZEI=group_name
                    WGBEZ=category_key PRIOR=priority DATAB=valid_from:date
                    DATBI=valid_to:until""",
                ),
                "ADDRESSES": (
                    "dealer_address",
                    "dealer_key",
                    """ADRNR=key PARVW=kind:code:address_kind NAME1=name STRAS=line1 STRS2=line2
                    STRS3=line3 PSTLZ=postcode ORT01=city REGIO=region LAND1=country TELF1=phone
                    HINWS=instructions KZSTD=is_default:x""",
                ),
                "CONTACTS": (
                    "dealer_contact",
                    "dealer_key",
                    """PARNR=key NAMEV=name SMTP=email TELF1=phone SPRAS=language:code:language
                    PAFKT=role KZHPT=is_primary:x""",
                ),
            },
        ),
    ),
    "GetCategoryList": (
        "CATEGORIES",
        Record("category", "WGBEZ=key OBERG=parent_key WGTXT=name SORTF=sort", {}),
    ),
    "GetMaterialList": (
        "MATERIALS",
        Record(
            "product",
            """MATNR=key MAKTX=name MALTX=description MSTAE=status:code:material_status MARKE=brand
            MEINS=base_uom:code:unit VRKME=sales_uom:code:unit AUMNG=min_order_qty:num
            SCMNG=order_step:num PLIFZ=lead_time_days:pad:3 TAXKM=tax_class MWSTS=tax_pct:num
            LGBST=stocked:x BESCH=restrictions:list ERSDA=launched_on:date NFMAT=successor_key
            MFRNM=manufacturer MFRPN=manufacturer_no HERKL=origin STAWN=customs_no
            NTGEW=weight_kg:num SUCHB=search_terms:list MERKM=attributes""",
            {
                "TEXTS": (
                    "product_text",
                    "product_key",
                    "SPRAS=language:code:language MAKTX=name MALTX=description",
                ),
                "UNITS": (
                    "product_uom",
                    "product_key",
                    """MEINH=uom:code:unit UMREZ=numerator UMREN=denominator EAN11=barcodes:list
                    KZBST=orderable:x""",
                ),
                "GROUPS": (
                    "product_category",
                    "product_key",
                    "WGBEZ=category_key KZHPT=is_primary:x",
                ),
            },
        ),
    ),
    "GetMaterialDocumentList": (
        "DOCUMENTS",
        Record(
            "product_document",
            """DOKNR=key MATNR=product_key DOKAR=kind:code:material_document DKTXT=title
            SPRAS=language:code:language SORTF=sort PFAD=location MIMET=mime GROES=bytes
            PRUEF=sha256 GUEBI=valid_to:until""",
            {},
        ),
    ),
    "GetSubstituteList": (
        "SUBSTITUTES",
        Record(
            "substitute",
            """MATNR=product_key SMATN=substitute_key ERART=kind:code:substitute_kind
            RANGF=rank KZBEI=both_ways:x DATAB=valid_from:date DATBI=valid_to:until""",
            {},
        ),
    ),
    "GetAuthorizationList": (
        "AUTHORIZATIONS",
        Record(
            "catalogue_grant",
            """BERNR=key KDBER=dealer_scope:code:grant_dealer KUNNR=dealer_key
            GRART=dealer_group_kind:code:group_kind MTBER=product_scope:code:grant_product
            MATNR=product_key WIRKG=effect:code:effect LIZNZ=licence DATAB=valid_from:date
            DATBI=valid_to:until""",
            {},
        ),
    ),
    "GetConditionList": (
        "CONDITIONS",
        Record(
            "price",
            """KNUMH=header_key KSCHL=level:code:condition KDBER=dealer_scope:code:dealer_scope
            GRART=dealer_group_kind:code:group_kind KUNNR=dealer_key
            MTBER=product_scope:code:product_scope MATNR=product_key WAERS=currency
            KMEIN=uom:code:unit KPEIN=per:pad:5 KSTBM=min_qty:num KSTBW=min_amount:num
            KBETR=unit_price:num RABPR=pct_off_list:num RABBT=amount_off_list:num
            KZNUL=allow_zero:x KUMUL=combine:code:combine KZMWS=tax_included:x
            DATAB=valid_from:date DATBI=valid_to:until LFDNR=seq KONMS=quota_left:num
            VTREF=ref KONTX=title""",
            {},
        ),
    ),
    "GetPlantList": (
        "PLANTS",
        Record(
            "warehouse",
            """WERKS=key NAME1=name LAND1=country REGIO=region TZONE=time_zone SORTF=sort
            KZSIC=visible:x""",
            {},
        ),
    ),
    "GetStockList": (
        "STOCKS",
        Record(
            "stock",
            """MATNR=product_key WERKS=warehouse_key LABST=on_hand:num RESME=reserved:num
            VFMNG=available:num MINBE=low_level:num LBDAT=changed_at:day LBZET=changed_at:time""",
            {},
        ),
    ),
    "GetExpectedList": (
        "EXPECTED",
        Record(
            "stock_expected",
            """BELNR=key MATNR=product_key WERKS=warehouse_key MENGE=qty:num EINDT=expected_on:date
            ZUART=kind:code:expected_kind KZBES=confirmed:x""",
            {},
        ),
    ),
    "GetCreditList": (
        "CREDITS",
        Record(
            "credit",
            """KUNNR=account_key WAERS=currency KLIMK=limit_amount:nil KZUNB=unlimited:x
            WLIMK=soft_limit:num GUEBI=limit_valid_to:until SALDO=open_balance:num
            AUFTW=pending:num AUFRF=pending_refs:list FAELL=overdue:num
            AELFD=oldest_due_on:date AKONT=unapplied:num CRBLB=on_hold:x SPGRD=hold_reason
            CTLPC=risk_class VERZT=avg_days_late:num LZDAT=last_paid_on:date
            LZBTR=last_paid_amount:num STAND=calculated_at:stamp""",
            {},
        ),
    ),
    "GetInvoiceList": (
        "INVOICES",
        Record(
            "invoice",
            """VBELN=key XBLNR=number FKART=kind:code:invoice_kind KUNRG=account_key
            KUNAG=dealer_key AUBEL=order_key BSTNK=customer_ref FKDAT=issued_on:date
            FAEDT=due_on:date ZBD1T=due_on:days:issued_on KZBER=due_on_computed:x
            WAERK=currency NETWR=net:num MWSBK=tax:num
            BRTWR=gross:num OFFEN=open_amount:num AUGDT=settled_on:date KZSTR=disputed:x
            STRGR=dispute_reason MAHNS=dunning_level:pad:2 SKFBI=discount_until:date
            SKBTR=discount_amount:num SFAKN=cancels_key ZUSATZ=attributes""",
            {
                "ITEMS": (
                    "invoice_line",
                    "invoice_key",
                    """POSNR=line_no PSTYV=kind:code:line_kind MATNR=product_key ARKTX=description
                    FKIMG=qty:num VRKME=uom:code:unit KBETR=unit_price:num KPEIN=per:pad:5
                    RABPR=discount_pct:num NETWR=net:num MWSTS=tax_pct:num MWSBP=tax:num
                    BRTWR=gross:num AUBEL=order_key AUPOS=order_line_no VGBEL=delivery_key
                    PRSDT=priced_on:date""",
                )
            },
        ),
    ),
    "GetPaymentList": (
        "PAYMENTS",
        Record(
            "payment",
            """BELNR=key KUNNR=account_key BLART=kind:code:payment_kind BUDAT=booked_on:date
            VALUT=value_on:date WAERS=currency WRBTR=amount:num AKONT=unapplied:num
            ZLSCH=method SGTXT=reference VBELN=order_ref""",
            {
                "ALLOCATIONS": (
                    "payment_allocation",
                    "payment_key",
                    "REBZG=invoice_key WRBTR=amount:num AUGDT=allocated_on:date",
                )
            },
        ),
    ),
    "GetDocumentList": (
        "DOCUMENTS",
        Record(
            "document",
            """DOKNR=key DOKAR=kind:code:document_kind XBLNR=number KUNRG=account_key
            KUNAG=dealer_key OBART=subject:code:subject OBJNR=subject_key DOKDT=issued_on:date
            FORMT=format SPRAS=language:code:language PFAD=location AUFBW=retain_until:date""",
            {},
        ),
    ),
    "GetOrderList": (
        "ORDERS",
        Record(
            "sales_order",
            """VBELN=key AUFNR=number IHREZ=portal_ref AUART=channel:code:channel
            KUNNR=dealer_key ADRNR=address_key LIEFA=ship_to BSTNK=customer_ref
            PARNR=contact_key ERNAM=entered_by PERNR=sales_rep_key ERDAT=ordered_at:day
            ERZET=ordered_at:time KZZEI=ordered_at_exact:x VDATU=requested_on:date
            LFDAT=expected_on:date WAERK=currency NETWR=net:num MWSBK=tax:num BRTWR=gross:num
            OFFEN=open_gross:num GBSTK=status:code:order_status GBTXT=status_raw
            GBGRD=status_reason FREIG=approved_at:stamp WADAT=first_shipped_at:stamp
            ZUDAT=delivered_at:stamp STDAT=cancelled_at:stamp AENDT=changed_at:stamp
            RUECK=backorder_of EFFEH=entry_error ZUSATZ=attributes AEDTM=modified_at:stamp""",
            {
                "ITEMS": (
                    "sales_order_line",
                    "order_key",
                    """POSNR=line_no POSEX=portal_line MATNR=product_key KWMENG=qty:num
                    VRKME=uom:code:unit BMENG=qty_confirmed:num LFIMG=qty_shipped:num
                    FKIMG=qty_invoiced:num STMNG=qty_cancelled:num KBETR=unit_price:num
                    KPEIN=per:pad:5 RABPR=discount_pct:num NETWR=net:num MWSTS=tax_pct:num
                    BRTWR=gross:num LFDAT=expected_on:date WERKS=warehouse_key
                    GBSTA=status:code:order_status ABGRU=reason MATWA=replaces_product_key""",
                ),
                "EVENTS": (
                    "order_event",
                    "order_key",
                    """LFDNR=seq ZEITP=at:stamp EREIG=kind:code:event_kind ALTWT=old NEUWT=new
                    TEXT1=text UNAME=actor QUELL=source:code:event_source""",
                ),
            },
            delta=True,
        ),
    ),
    "GetDeliveryList": (
        "DELIVERIES",
        Record(
            "shipment",
            """VBELN=key VGBEL=order_key WADAT=shipped_at:day WAZET=shipped_at:time
            ZUDAT=delivered_at:stamp SPEDI=carrier SNDNR=tracking_no SNURL=tracking_url
            AEDTM=modified_at:stamp""",
            {
                "ITEMS": (
                    "shipment_line",
                    "shipment_key",
                    "VGPOS=order_line_no LFIMG=qty:num CHARG=lot",
                )
            },
            delta=True,
        ),
    ),
}
"""Operation → (element of the list in its answer, record)."""
