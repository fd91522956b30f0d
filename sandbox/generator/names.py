"""Words that generated names are made of. Data only.

What `cedar` serves must exist in cp1254 (Latin-1 with the Turkish letters); `birch` may hold more.
"""

SURNAMES = (
    "Müller", "Schäfer", "Weiß", "Großmann", "Köhler", "Jäger", "Vogt", "O'Neill", "D'Angelo",
    "Strauß", "Krüger", "Böhm", "Lefèvre", "Núñez", "Sørensen", "Çelik", "Yıldız", "Öztürk",
    "Şahin", "Güneş", "Aydoğan", "İnan", "Becker", "Hoffmann", "van der Berg",
)  # fmt: skip
WIDER_SURNAMES = (*SURNAMES, "Łukasiewicz", "Dvořák", "Šimek", "Őry", "Kovačević")
COMPANY_FORMS = (
    "%s GmbH", "%s & Söhne KG", "Eisenwaren %s", "%s Großhandel e.K.", 'Werkzeug-%s "Der Profi"',
    "Haustechnik %s; Inh. J. %s", "%s Industriebedarf AG", "%s Tools Ltd", "%s Yapı A.Ş.",
    "%s Hırdavat Ltd. Şti.", "%s, %s & Partner",
)  # fmt: skip
FIRST_NAMES = (
    "Jürgen", "Anna", "Émilie", "Søren", "Ayşe", "Mehmet", "Gülşen", "Björn", "Zoë", "İbrahim",
    "Claire", "Seán", "Katharina", "Uğur", "Maria",
)  # fmt: skip
CITIES = (  # name, postcode, country, region
    ("Hamburg", "20095", "DE", "NORTH"), ("Köln", "50667", "DE", "WEST"),
    ("München", "80331", "DE", "SOUTH"), ("Dresden", "01067", "DE", "EAST"),
    ("Görlitz", "02826", "DE", "EAST"), ("Wien", "1010", "AT", "AT"),
    ("Zürich", "8001", "CH", "CH"), ("İstanbul", "34000", "TR", "TR"),
    ("İzmir", "35000", "TR", "TR"), ("Eskişehir", "26000", "TR", "TR"),
    ("Lyon", "69001", "FR", "FR"), ("Dublin", "D02 X285", "IE", "IE"),
)  # fmt: skip
STREETS = (
    "Hauptstraße", "Am Mühlbach", "Königsallee", "Bahnhofstr.", "Rue de l'Église", "Atatürk Cad.",
    "Çınar Sok.", "Gewerbepark Süd",
)  # fmt: skip
ITEMS = (  # German, English, Turkish
    ("Sechskantschraube", "Hexagon bolt", "Altıgen cıvata"),
    ("Unterlegscheibe", "Washer", "Pul"),
    ("Bohrhammer", "Rotary hammer", "Kırıcı delici"),
    ("Kugelhahn", "Ball valve", "Küresel vana"),
    ("Schlüsselsatz", "Spanner set", "Anahtar takımı"),
    ("Dübel", "Wall plug", "Dübel"),
    ("Winkelschleifer", "Angle grinder", "Avuç taşlama"),
    ("Dichtungsring", "Gasket", "Sızdırmazlık contası"),
    ("Schutzbrille", "Safety goggles", "Koruyucu gözlük"),
    ("Kabelbinder", "Cable tie", "Kablo bağı"),
    ("Lötkolben", "Soldering iron", "Havya"),
    ("Reinigungsmittel", "Cleaner", "Temizleyici"),
)
FINISHES = (
    ("verzinkt", "galvanised", "çinko kaplı"),
    ("Edelstahl A2", "stainless A2", "paslanmaz çelik"),
    ("schwarz", "black", "siyah"),
    ('1/2" Gewinde', '1/2" thread', '1/2" dişli'),
    ("groß; im Beutel", "large; bagged", "büyük; poşetli"),
    ("Profi's Wahl", "pro's choice", "usta'nın tercihi"),
)
BRANDS = ("Nordstahl", "Hülsmann", "Boğaziçi", "Würfel+", "O'Hare", "Tek-Çelik", "Ölmann")
CATEGORY_TOPS = (
    ("Befestigung", "Fixings", "Bağlantı"),
    ("Werkzeuge", "Tools", "Aletler"),
    ("Sanitär", "Plumbing", "Tesisat"),
    ("Arbeitsschutz", "Safety", "İş güvenliği"),
    ("Elektro", "Electrical", "Elektrik"),
    ("Chemie", "Chemicals", "Kimyasallar"),
)
CATEGORY_SUBS = (
    ("Standard", "Standard", "Standart"),
    ("Profi", "Professional", "Profesyonel"),
    ("Zubehör", "Accessories", "Aksesuar"),
    ("Großgebinde", "Bulk", "Toptan ambalaj"),
    ("Öko", "Eco", "Çevreci"),
)
TIERS = (("A", "Platin"), ("B", "Gold"), ("C", "Silber"), ("D", "Bronze"))
CARRIERS = ("DHL", "DPD", "Kühne+Nagel", "Yurtiçi Kargo")
