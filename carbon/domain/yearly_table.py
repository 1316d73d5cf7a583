"""The bundled yearly grid intensity: one row per zone, `code|name|g_per_kwh|year`.

Derived once, in November 2026, from the tables that CodeCarbon 3.3.2 (MIT) carries:

- COUNTRIES: `carbon_intensity` of its global energy mix, re-keyed from ISO 3166-1 alpha-3 to
  alpha-2. Life-cycle, production-based; Our World in Data after Ember and the Energy
  Institute, CC BY 4.0. The Central African Republic is left out: its figure there is 0, and 0
  is never a measurement.
- US_STATES: EPA eGRID2023, total output emission rate (STC2ERTA) in lb/MWh × 0.45359237.
  Direct, combustion alone; a work of the United States, public domain.
- CA_PROVINCES: its provincial generation shares for 2023 × its factor per source (coal 995,
  petroleum 816, natural gas 743, biomass 230, solar 48, nuclear 29, hydro and wind 26),
  divided by the sum of the shares that have a factor. Life-cycle.
- WORLD_G_PER_KWH: mean of the countries weighted by their generation; 92 % of it is of 2023.

Rounded to 0.1 g/kWh. Data only; `carbon.domain.yearly` reads it.
"""

from __future__ import annotations

from typing import Final

OWID_SOURCE: Final = "Our World in Data / Ember via CodeCarbon 3.3.2 (CC BY 4.0)"
EGRID_SOURCE: Final = "US EPA eGRID2023 via CodeCarbon 3.3.2 (public domain)"
PROVINCES_SOURCE: Final = "Canadian provincial mix × factor per source, CodeCarbon 3.3.2 (MIT)"

WORLD_G_PER_KWH: Final = 480.6
WORLD_YEAR: Final = 2023

COUNTRIES: Final = """\
AE|United Arab Emirates|561.1|2022
AF|Afghanistan|132.5|2022
AG|Antigua and Barbuda|611.1|2022
AL|Albania|24.3|2022
AM|Armenia|264.5|2022
AO|Angola|174.7|2022
AR|Argentina|354.1|2023
AS|American Samoa|611.1|2022
AT|Austria|110.8|2023
AU|Australia|548.7|2023
AW|Aruba|561.2|2022
AZ|Azerbaijan|671.4|2022
BA|Bosnia and Herzegovina|600.0|2023
BB|Barbados|605.5|2022
BD|Bangladesh|691.4|2023
BE|Belgium|138.1|2023
BF|Burkina Faso|467.5|2022
BG|Bulgaria|335.3|2023
BH|Bahrain|904.6|2022
BI|Burundi|250.0|2022
BJ|Benin|584.1|2022
BM|Bermuda|650.8|2022
BN|Brunei|893.9|2022
BO|Bolivia|531.7|2023
BR|Brazil|98.3|2023
BS|Bahamas|660.1|2022
BT|Bhutan|23.3|2022
BW|Botswana|847.9|2022
BY|Belarus|441.7|2022
BZ|Belize|225.8|2022
CA|Canada|170.0|2023
CD|Democratic Republic of Congo|24.5|2022
CG|Congo|700.0|2022
CH|Switzerland|34.8|2023
CI|Cote d'Ivoire|393.9|2022
CK|Cook Islands|250.0|2022
CL|Chile|291.1|2023
CM|Cameroon|305.4|2022
CN|China|582.3|2023
CO|Colombia|259.5|2023
CR|Costa Rica|53.4|2023
CU|Cuba|637.6|2022
CV|Cape Verde|558.1|2022
CY|Cyprus|534.3|2023
CZ|Czechia|449.7|2023
DE|Germany|380.9|2023
DJ|Djibouti|692.3|2022
DK|Denmark|151.7|2023
DM|Dominica|529.4|2022
DO|Dominican Republic|580.8|2022
DZ|Algeria|634.6|2022
EC|Ecuador|150.2|2023
EE|Estonia|416.7|2023
EG|Egypt|570.3|2023
EH|Western Sahara|666.7|2009
ER|Eritrea|631.6|2022
ES|Spain|174.1|2023
ET|Ethiopia|24.6|2022
FI|Finland|79.2|2023
FJ|Fiji|288.5|2022
FK|Falkland Islands|500.0|2022
FO|Faroe Islands|404.8|2022
FR|France|56.0|2023
GA|Gabon|491.6|2022
GB|United Kingdom|237.6|2023
GD|Grenada|640.0|2022
GE|Georgia|167.6|2023
GF|French Guiana|217.8|2021
GH|Ghana|484.0|2022
GI|Gibraltar|600.0|2022
GL|Greenland|178.6|2022
GM|Gambia|666.7|2022
GN|Guinea|236.8|2022
GP|Guadeloupe|500.0|2021
GQ|Equatorial Guinea|591.8|2022
GR|Greece|336.6|2023
GT|Guatemala|328.3|2022
GU|Guam|622.9|2022
GW|Guinea-Bissau|625.0|2022
GY|Guyana|640.4|2022
HK|Hong Kong|699.5|2022
HN|Honduras|282.3|2022
HR|Croatia|205.0|2023
HT|Haiti|567.3|2022
HU|Hungary|204.2|2023
ID|Indonesia|675.9|2022
IE|Ireland|290.8|2023
IL|Israel|582.9|2022
IN|India|713.4|2023
IQ|Iraq|688.8|2022
IR|Iran|655.1|2023
IS|Iceland|27.7|2022
IT|Italy|330.7|2023
JM|Jamaica|555.6|2022
JO|Jordan|540.9|2022
JP|Japan|485.4|2023
KE|Kenya|70.5|2023
KG|Kyrgyzstan|147.3|2022
KH|Cambodia|417.7|2022
KI|Kiribati|666.7|2022
KM|Comoros|642.9|2022
KN|Saint Kitts and Nevis|636.4|2022
KP|North Korea|389.6|2022
KR|South Korea|430.6|2023
KW|Kuwait|649.2|2023
KY|Cayman Islands|642.9|2022
KZ|Kazakhstan|821.4|2023
LA|Laos|265.5|2022
LB|Lebanon|599.0|2022
LC|Saint Lucia|666.7|2022
LK|Sri Lanka|509.8|2022
LR|Liberia|227.8|2022
LS|Lesotho|20.0|2022
LT|Lithuania|160.1|2023
LU|Luxembourg|105.3|2023
LV|Latvia|123.2|2023
LY|Libya|818.7|2022
MA|Morocco|630.0|2023
MD|Moldova|643.5|2023
ME|Montenegro|417.1|2023
MG|Madagascar|436.4|2022
MK|North Macedonia|565.3|2023
ML|Mali|408.0|2022
MM|Myanmar|398.9|2023
MN|Mongolia|775.3|2023
MO|Macao|449.0|2022
MQ|Martinique|523.2|2021
MR|Mauritania|464.7|2022
MS|Montserrat|1000.0|2022
MT|Malta|459.1|2023
MU|Mauritius|632.5|2022
MV|Maldives|611.8|2022
MW|Malawi|66.7|2022
MX|Mexico|507.2|2023
MY|Malaysia|605.8|2022
MZ|Mozambique|135.6|2022
NA|Namibia|59.3|2022
NC|New Caledonia|660.6|2022
NE|Niger|670.9|2022
NG|Nigeria|523.2|2023
NI|Nicaragua|265.1|2022
NL|Netherlands|267.6|2023
NO|Norway|30.1|2023
NP|Nepal|24.4|2022
NR|Nauru|750.0|2022
NZ|New Zealand|112.8|2023
OM|Oman|564.6|2023
PA|Panama|161.7|2022
PE|Peru|266.5|2023
PF|French Polynesia|442.9|2022
PG|Papua New Guinea|507.2|2022
PH|Philippines|610.7|2023
PK|Pakistan|440.6|2023
PL|Poland|661.9|2023
PM|Saint Pierre and Miquelon|600.0|2022
PR|Puerto Rico|678.7|2022
PS|Palestine|516.1|2022
PT|Portugal|165.6|2023
PY|Paraguay|23.8|2023
QA|Qatar|602.5|2023
RE|Reunion|572.8|2021
RO|Romania|240.6|2023
RS|Serbia|636.1|2023
RU|Russia|441.0|2023
RW|Rwanda|316.3|2022
SA|Saudi Arabia|706.8|2022
SB|Solomon Islands|700.0|2022
SC|Seychelles|564.5|2022
SD|Sudan|263.2|2022
SE|Sweden|40.7|2023
SG|Singapore|470.8|2023
SH|Saint Helena|1000.0|2022
SI|Slovenia|231.3|2023
SK|Slovakia|116.8|2023
SL|Sierra Leone|50.0|2022
SN|Senegal|511.6|2022
SO|Somalia|578.9|2022
SR|Suriname|349.3|2022
SS|South Sudan|629.0|2022
ST|Sao Tome and Principe|642.9|2022
SV|El Salvador|271.5|2023
SY|Syria|701.7|2022
SZ|Eswatini|172.4|2022
TC|Turks and Caicos Islands|653.8|2022
TD|Chad|628.6|2022
TG|Togo|443.2|2022
TH|Thailand|549.6|2023
TJ|Tajikistan|116.9|2022
TL|East Timor|666.7|2022
TM|Turkmenistan|1306.0|2022
TN|Tunisia|564.0|2023
TO|Tonga|625.0|2022
TR|Turkey|464.6|2023
TT|Trinidad and Tobago|681.5|2022
TW|Taiwan|642.4|2023
TZ|Tanzania|339.2|2022
UA|Ukraine|259.7|2022
UG|Uganda|44.5|2022
US|United States|369.5|2023
UY|Uruguay|128.8|2023
UZ|Uzbekistan|1167.6|2022
VC|Saint Vincent and the Grenadines|529.4|2022
VE|Venezuela|185.8|2022
VG|British Virgin Islands|647.1|2022
VI|United States Virgin Islands|632.4|2022
VN|Vietnam|475.4|2023
VU|Vanuatu|571.4|2022
WS|Samoa|473.7|2022
YE|Yemen|566.1|2022
ZA|South Africa|707.7|2023
ZM|Zambia|112.0|2022
ZW|Zimbabwe|297.9|2022
"""

US_STATES: Final = """\
US-AK|Alaska|369.4|2023
US-AL|Alabama|323.9|2023
US-AR|Arkansas|452.9|2023
US-AZ|Arizona|312.6|2023
US-CA|California|179.1|2023
US-CO|Colorado|494.9|2023
US-CT|Connecticut|245.2|2023
US-DC|District of Columbia|179.2|2023
US-DE|Delaware|319.4|2023
US-FL|Florida|357.9|2023
US-GA|Georgia|325.4|2023
US-HI|Hawaii|632.6|2023
US-IA|Iowa|287.6|2023
US-ID|Idaho|142.4|2023
US-IL|Illinois|215.2|2023
US-IN|Indiana|664.7|2023
US-KS|Kansas|332.6|2023
US-KY|Kentucky|792.4|2023
US-LA|Louisiana|346.1|2023
US-MA|Massachusetts|376.5|2023
US-MD|Maryland|236.9|2023
US-ME|Maine|143.7|2023
US-MI|Michigan|361.7|2023
US-MN|Minnesota|341.3|2023
US-MO|Missouri|659.8|2023
US-MS|Mississippi|375.7|2023
US-MT|Montana|482.6|2023
US-NC|North Carolina|284.1|2023
US-ND|North Dakota|588.7|2023
US-NE|Nebraska|465.3|2023
US-NH|New Hampshire|125.3|2023
US-NJ|New Jersey|213.3|2023
US-NM|New Mexico|350.9|2023
US-NV|Nevada|292.0|2023
US-NY|New York|211.7|2023
US-OH|Ohio|484.6|2023
US-OK|Oklahoma|294.3|2023
US-OR|Oregon|165.5|2023
US-PA|Pennsylvania|293.9|2023
US-RI|Rhode Island|381.0|2023
US-SC|South Carolina|254.2|2023
US-SD|South Dakota|152.2|2023
US-TN|Tennessee|299.9|2023
US-TX|Texas|349.8|2023
US-UT|Utah|644.7|2023
US-VA|Virginia|244.8|2023
US-VT|Vermont|23.7|2023
US-WA|Washington|120.9|2023
US-WI|Wisconsin|527.8|2023
US-WV|West Virginia|893.1|2023
US-WY|Wyoming|831.6|2023
"""

CA_PROVINCES: Final = """\
CA-AB|Alberta|636.6|2023
CA-BC|British Columbia|60.7|2023
CA-MB|Manitoba|31.5|2023
CA-NB|New Brunswick|268.7|2023
CA-NL|Newfoundland and Labrador|30.6|2023
CA-NS|Nova Scotia|593.0|2023
CA-NT|Northwest Territories|161.5|2023
CA-NU|Nunavut|814.5|2023
CA-ON|Ontario|93.1|2023
CA-PE|Prince Edward Island|44.6|2023
CA-QC|Quebec|31.2|2023
CA-SK|Saskatchewan|662.5|2023
CA-YT|Yukon|290.1|2023
"""
