"""Whole descriptions in Swahili by occupation key, a title first; `{town}` and `{company}` are filled in."""

SWAHILI = """
* mobile-money-agent; Mhudumu wa Duka la Pesa kwa Simu
{company} inatafuta mhudumu mwaminifu wa duka la pesa kwa simu mjini {town}. Utapokea na kutoa fedha kwa wateja,
kukagua vitambulisho na kuandika kila muamala kwenye daftari. Awe na cheti cha KCSE, cheti cha tabia njema na
mdhamini.

* mobile-money-agent; Wakala wa Pesa, Zamu ya Jioni
Kazi ya zamu ya jioni katika kibanda chetu karibu na stendi ya {town}. Lazima ujue hesabu, uwe mchangamfu na
usiyeogopa foleni ndefu. Float huhesabiwa mara tatu kwa siku. Mshahara pamoja na kamisheni; fika dukani na
kitambulisho chako.

* mason; Fundi wa Ujenzi (Mawe na Lipu)
Mafundi kumi wanahitajika kwa ujenzi wa shule {town}. Kazi ni kujenga kwa mawe, kupiga lipu na kuweka vigae. Uje na
mwiko, uzi na pimamaji. Malipo hutolewa kila Jumamosi saa sita mchana kupitia simu. Chai na githeri ni bure.

* matatu-crew; Dereva wa Matatu
Sacco ya {company} inahitaji madereva watulivu wa magari ya abiria thelathini na watatu, njia ya {town}. Lazima uwe
na leseni ya D1, beji ya PSV na cheti cha tabia njema. Usiendeshe kwa kasi, usitukane abiria, usichelewe zamu ya
alfajiri.

* matatu-crew; Kondakta wa Matatu
Tunatafuta makondakta wachangamfu na waaminifu. Kazi yako ni kukusanya nauli, kurudisha chenji, kuwasaidia wazee na
wanafunzi kupanda, na kuhakikisha gari ni safi. Utalipwa kila siku jioni baada ya kufunga hesabu na mkaguzi wa
{town}.

* house-manager; Msaidizi wa Nyumbani
Wazee wawili wanaoishi {town} wanahitaji msaidizi wa kupika, kufua na kutunza bustani. Utapewa chumba chako na
kupumzika kila Jumapili. Awe na barua kutoka kwa mwajiri wa awali. {company} haitozi ada yoyote kwa wafanyakazi.

* security-guard; Askari wa Ulinzi
{company} inaajiri walinzi wa mchana na usiku {town}. Kazi: kulinda lango, kukagua magari kwa heshima, kuzunguka ua
na kuandika taarifa kwenye kitabu. Awe na usajili wa PSRA, afya njema na nidhamu. Sare, viatu na koti la mvua
hutolewa.

* packhouse-worker; Vibarua wa Kukata na Kufunga Maua
Vibarua wa msimu wanahitajika katika shamba la maua la {company}, {town}. Utakata maua, kuyapanga kwa urefu na
kuyafunga kwa ajili ya soko la nje. Mafunzo ni siku mbili. Basi linaondoka saa kumi na mbili kasoro dakika kumi
asubuhi. Karibuni!

* tea-supervisor; Msimamizi wa Zamu, Kiwanda cha Chai
Kiwanda cha chai cha {company} karibu na {town} kinatafuta msimamizi wa zamu. Atasimamia kukausha, kusaga na
kuchachusha majani, kuonja chai pamoja na meneja na kuweka kumbukumbu za ubora. Awe na diploma ya sayansi ya chakula
au uhandisi.

* community-health; Mhamasishaji wa Afya ya Jamii
Wahamasishaji wa afya wanahitajika kutembelea kaya mia moja katika vijiji vya {town}. Utawaelimisha wananchi kuhusu
usafi, lishe na chanjo, na kuwaelekeza wagonjwa kwenye zahanati. Uchaguzi utafanyika katika baraza. Posho, simu na
baiskeli vipo.

* chef; Mpishi wa Vyakula vya Pwani
Hoteli yetu ya {company} mjini {town} inahitaji mpishi hodari wa pilau, biriani, samaki wa kupaka na mahamri. Uwe na
cheti cha upishi, cheti cha afya na uzoefu wa miaka mitatu. Sokoni tunakwenda saa kumi na moja alfajiri, pamoja
nawe.

* housekeeper; Mhudumu wa Vyumba vya Wageni
Tunahitaji wahudumu wa vyumba kwa msimu wa Desemba. Kazi ni kutandika vitanda, kufua mashuka na kusafisha bafu kwa
kufuata orodha. Chakula, sare na usafiri wa wafanyakazi hutolewa na {company}. Kazi iko {town}, mkabala na ufuo.

* radio-presenter; Mtangazaji wa Redio
{company} inatafuta mtangazaji mwenye sauti nzuri na ucheshi wa kuendesha kipindi cha asubuhi. Uwe unajua Kiswahili
sanifu na Sheng kidogo, siasa za kaunti na muziki wa zamani. Tuma rekodi ya dakika tano. Studio ziko {town}.

* agronomist; Afisa Ugani wa Mazao
Wakulima wetu wa parachichi wanahitaji ushauri wa karibu. Afisa ugani atapima udongo, kufundisha upogoaji na
kudhibiti wadudu kwa njia salama. Awe na shahada au diploma ya kilimo na leseni ya pikipiki. Eneo la kazi ni vijiji
vya {town}.

* aquaculture; Mhudumu wa Vizimba vya Samaki
{company} inafuga sato katika vizimba ziwani karibu na {town}. Tunamtafuta kijana anayejua kuogelea, kulisha samaki
kwa ratiba, kushona nyavu na kupima hewa ya maji. Jaketi la kuokoa maisha ni lazima. Mavuno huanza kabla ya
alfajiri.

* delivery-rider; Mwendeshaji wa Boda ya Umeme
Waendeshaji wa pikipiki za umeme wanahitajika {town}. Utapeleka vifurushi, chakula na dawa kwa wateja. Uwe na leseni
ya A2, simu janja na ujuzi wa mitaa. Helmeti na koti hutolewa na {company}; saa za kazi unachagua mwenyewe.

* hairdresser; Msusi na Kinyozi
Saluni ya {company} {town} ina nafasi mbili: msusi wa nywele za asili na kinyozi wa mitindo ya kisasa. Utapewa vifaa
vyote na asilimia arobaini ya mapato yako. Onyesha kazi yako siku ya Jumatatu, tukiwa tumefunga kwa wateja.

* tailor; Fundi Cherehani
Tunashona sare za shule na nguo za harusi. Fundi awe na uzoefu wa cherehani ya umeme, kukata vitenge na kuweka zipu
bila makunyanzi. Malipo ni kwa kila nguo, kila wiki. Fika karakana ya {company}, {town}, uje na shati moja
uliloshona.
"""
