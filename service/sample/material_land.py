"""Phrases for sample postings on farms, in factories, at the lake and in the wild; `occupations` has the notation."""

MATERIAL = """
* Agronomist; Field Extension Officer; Crop Advisor, Avocado and Macadamia
: agronomist agriculture farm pay=50000-110000 types=full_time,contract
: towns=Murang'a,Thika,Meru,Embu,Kisii,Nyeri
> Three thousand smallholders sell us their avocado, and too much of it is rejected at the gate.
> {company} is recruiting an agronomist to raise yields and quality among outgrowers near {town}.
- Scout for pests and disease and prescribe the least harmful remedy
- Take soil samples and turn the results into a fertiliser plan
- Hold farmer field days on pruning, grafting and harvest timing
- Keep spray records and pre-harvest intervals for GlobalGAP audits
- Estimate the crop by block two months ahead
- Run trial plots of new varieties
+ Degree in agriculture, horticulture or agronomy
+ Experience with smallholders and export standards
+ Motorcycle licence
+ Ability to speak the language of the area
. You will cover some forty kilometres of red road in a day.
. Lead farmers are paid for hosting, so doors open easily.

* Dairy Farm Manager; Livestock Production Officer; Farm Supervisor (Dairy)
: dairy-manager livestock farm pay=45000-120000 types=full_time
: towns=Eldoret,Nakuru,Kitale,Nyeri,Limuru,Meru
> One hundred and twenty Friesians are milked here at four in the morning and three in the afternoon.
> {company} needs a manager for a zero-grazing unit outside {town}.
- Plan rations from silage, hay and concentrates and watch the cost of each litre
- Detect heat, arrange insemination and record every calving
- Prevent mastitis through clean milking and quick treatment
- Supervise fourteen herdsmen and milkers
- Sell milk to the cooler and surplus heifers at auction
- Grow and ensile maize and Boma Rhodes
+ Diploma in animal production or agriculture
+ Five years on a commercial dairy unit
+ Early hours without complaint
+ Competence with herd software
. The herd averages 22 litres a day and the aim is 25.
. A three-bedroom house comes with the post.

* Veterinary Surgeon; Animal Health Assistant; Veterinary Officer (Large Animals)
: veterinarian livestock farm pay=50000-130000 types=full_time,contract,part_time
> Camels, goats, donkeys and one very old police dog are among our regular patients.
> {company} seeks a vet for an ambulatory practice around {town}.
- Treat sick animals on the farm and advise on prevention
- Vaccinate herds against foot-and-mouth, anthrax and PPR
- Inspect meat at the slaughterhouse and sign certificates
- Perform caesarean sections on cows, often by torchlight
- Train agrovet staff on correct drug use
+ Degree in veterinary medicine or diploma in animal health
+ Registration with the Kenya Veterinary Board
+ Driving licence class B
+ Sturdy constitution
. The practice owns a portable ultrasound and a patient driver.
. Night calls are shared and paid separately.

* Apiary Officer; Apiculture Technician; Beekeeping Extension Officer
: beekeeper apiculture farm count=3 pay=30000-60000 types=full_time,contract
> Two thousand Langstroth hives hang in the acacia country around {town}, and they need inspecting.
> {company} buys comb from women's groups and requires an apiary officer to raise harvest and purity.
- Inspect hives for pests, swarming signs and queen condition
- Split strong colonies and restock empty boxes
- Harvest at night with smoker and suit and leave enough for the colony
- Teach groups to build catcher boxes and plant forage
- Run the extractor, measure moisture and pack jars
+ Certificate in apiculture or animal health
+ No allergy to stings
+ Two seasons of practical hive management
+ Calm movements
. Protective suits are replaced every year, and you will see why.
. The product won a silver medal at a regional fair.

* Irrigation Engineer; Irrigation Technician; Water Systems Supervisor
: irrigation-technician agriculture farm pay=45000-110000 types=full_time,contract
> Every drop is metered here, and some still go missing.
> {company} is hiring a technician to design and maintain drip systems over 180 hectares near {town}.
- Lay out mains, laterals and emitters and calculate pressure
- Service pumps, filters and fertigation tanks
- Read moisture probes and adjust the schedule each evening
- Find leaks before the manager does
- Train block supervisors to flush lines
+ Diploma in irrigation, water or agricultural engineering
+ Experience with pumps and controllers
+ Basic AutoCAD
+ Own boots, our raincoat
. The dam holds four months of water in a good year.
. Work starts at six so that afternoons are free in the hot season.

* Greenhouse Supervisor, Roses; Assistant Grower; Integrated Pest Management Scout Supervisor
: greenhouse-supervisor floriculture flowers pay=35000-80000 types=full_time,contract
: towns=Naivasha,Thika,Nanyuki,Nakuru
> Red roses for February are made in October, and our October team lacks a supervisor.
> {company} is looking for a grower's right hand to run six hectares of hybrid teas in {town}.
- Organise pinching, bending, disbudding and harvest by bed
- Release predatory mites and scout for thrips and downy mildew
- Control humidity by vents and heating to avoid botrytis
- Keep thirty workers productive, safe and paid correctly
- Meet the order sheet in stem length and colour
+ Diploma in horticulture or floriculture
+ Three years under plastic
+ Knowledge of MPS and Fairtrade rules
+ Steady leadership of mixed teams
. Valentine peak means seven weeks of long days and a bonus.
. The farm runs a crèche and a clinic for its workers.

* Flower Packhouse Worker; Grading and Bunching Staff; Harvester, Cut Flowers
: packhouse-worker floriculture flowers pay=520-760/day types=temporary,full_time,contract
: towns=Naivasha,Thika,Nanyuki,Kitale
> Seasonal workers wanted at the packhouse gate in {town} from Monday, six-month cards.
> {company} engages graders for the high season; training is given on the first two days.
- Grade stems by length, head size and straightness
- Bunch, sleeve and label for the auction and for supermarkets
- Cut flowers at the right stage and stand them in water at once
- Keep the cold room tidy and the floor dry
- Wear gloves, apron and hair net throughout
+ National ID card and good eyesight
+ Readiness to stand for eight hours in a cool hall
+ Experience on a flower farm is useful but not required
. Buses leave the estate at 5.50 and return at 4.30.
. Piece rates are posted on the board every evening.

* Tea Factory Production Supervisor; Tea Processing Technician; Factory Unit Manager
: tea-supervisor tea tea pay=40000-110000 types=full_time,contract
: towns=Kericho,Limuru,Nyeri,Kisii
> The withering troughs run day and night in the rush crop, and we need a third shift leader.
> {company} near {town} processes 60 tonnes of green leaf a day and seeks a supervisor for CTC and orthodox lines.
- Control wither, cut, fermentation time and dryer temperature
- Taste each invoice with the manager and correct faults at once
- Plan firewood and boiler pressure with the engineer
- Keep ISO 22000 and Rainforest Alliance records
- Allocate pluckers' leaf deliveries to lines in fair order
- Sort grades and pack for the Mombasa auction
+ Diploma in food science, tea technology or mechanical engineering
+ Three years in tea manufacture
+ Trained palate or the wish to train one
+ Authority without shouting
. Leaf comes from 9,400 smallholders on seven slopes.
. Estate housing, a school and a football pitch are on site.

* Wildlife Ranger; Conservancy Ranger; Rhino Protection Scout
: ranger conservation wild count=4 pay=24000-45000 types=full_time,contract
: towns=Nanyuki,Isiolo,Voi,Narok,Marsabit
> {company} recruits twelve scouts from nearby villages to protect game on 38,000 acres against illegal hunters.
> You will sleep under canvas, know each rhino by its ear notches and walk twenty kilometres before breakfast.
- Patrol the conservancy on foot and by vehicle and remove snares
- Track armed intruders and hand them to the police with evidence intact
- Record sightings of rhino, tuskers and lions on the handheld
- Guard carcasses and collect ivory for the authorities
- Respond when herds break into shambas and calm the owners
- Repair fence lines and water points
+ KCSE certificate and age between 21 and 30
+ Physical fitness; a 10 km run is part of selection
+ National Police Reservist training is an advantage
+ Clean record and knowledge of the terrain
. No animal has been lost to illegal hunting here since 2021.
. Training lasts three months at the field school, fully paid.

* Marine Ecologist; Conservation Research Assistant; Coastal Monitoring Officer
: ecologist conservation coast pay=60000-150000 types=full_time,contract,volunteer
: towns=Malindi,Kilifi,Kwale,Lamu
> Corals, turtles and mangroves need counting by somebody who does not mind wet notebooks.
> {company} is seeking an ecologist to lead field surveys from its station in {town}.
- Design transects and camera-trap grids and analyse the results in R
- Map habitat change from satellite images
- Train community monitors in species identification
- Negotiate no-take zones with beach management units
- Publish findings and present them to the county
+ Master's degree in ecology, zoology or conservation biology
+ Diving certificate for marine posts
+ Field experience of a year or more
+ Patience with goats, permits and tides
. The station has solar power, slow internet and excellent stars.
. Volunteers are welcome for three months and receive board and lodging.

* Aquaculture Technician; Fish Farm Supervisor; Cage Culture Attendant
: aquaculture fisheries farm pay=22000-60000 types=full_time,contract
: towns=Kisumu,Homa Bay,Busia,Siaya,Kitale
> Four hundred floating cages of tilapia lie off the shore near {town}, and fish do not feed themselves.
> {company} needs a technician for hatchery, pond and cage work.
- Feed by the table and adjust to temperature and appetite
- Grade fingerlings and count mortality every morning
- Measure dissolved oxygen and act before the fish gasp
- Mend nets and dive to inspect moorings
- Harvest, ice and load for the market by dawn
+ Certificate in fisheries or aquaculture
+ Strong swimmer
+ Boat handling
+ Record keeping by phone
. Life jackets are compulsory, also for the boss.
. The hatchery supplies two million fingerlings a season.

* Food Technologist; Quality Assurance Officer (Food); Production Supervisor, Juice Line
: food-technologist manufacturing food pay=45000-100000 types=full_time,contract,internship
> Mango season is six weeks long and our pulp line runs through all of them.
> {company} in {town} wants a technologist to keep food safe and flavour constant.
- Test pH, Brix, microbiology and shelf life in the plant laboratory
- Manage HACCP plans and prepare for KEBS visits
- Develop new recipes with less sugar
- Stop the line when a critical limit is crossed
- Investigate complaints and recall drills
+ Degree in food science and technology
+ Knowledge of ISO 22000
+ Shift work
+ Keen nose
. The tasting panel meets at eleven and takes volunteers.
. We buy fruit from Makueni, Kilifi and Tana River growers.

* Machine Operator; Production Line Operator; Factory Casual Worker
: machine-operator manufacturing plastics pay=700-1300/day types=temporary,full_time,contract
: towns=Thika,Nairobi,Athi River,Mombasa,Nakuru
> Operators needed for blow moulding and packing machines in {town}, three shifts, start at once.
> {company} makes buckets, basins and crates and is adding a third production line.
- Set, start and stop the moulding machine by the work card
- Trim, weigh and stack pieces and reject the warped ones
- Change moulds with the fitter
- Clean hoppers and feed regrind
- Write output and stoppages on the shift sheet
+ Trade test certificate grade III or experience on similar machines
+ Steel-toe boots size known, we supply them
+ Ability to work nights by rota
. The canteen serves ugali and beans free of charge on nights.
. Casuals with six good months are moved to contracts.
"""
