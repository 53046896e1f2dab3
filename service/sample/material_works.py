"""Phrases for sample postings in building, energy and transport; `occupations` documents the notation."""

MATERIAL = """
* PV Technician; Photovoltaic Installation Technician; Renewable Energy Service Technician
: pv-technician energy energy count=4 pay=35000-75000 types=full_time,contract
> {company} installs and services photovoltaic systems for schools, clinics and homes around {town}.
> Service technician wanted for 600 PV installations in the field, from shop kits to 80 kW arrays.
- Mount modules and rails on iron-sheet and tiled buildings with a harness on
- Diagnose faulty inverters, charge controllers and lithium batteries and swap them
- Measure string voltage and insulation and find the bad connector
- Clean soiled arrays and tighten clamps during the yearly visit
- Explain the app and the warranty to the owner
- Write job cards and return defective parts to the store
+ EPRA T2 or T3 licence
+ Certificate or diploma in electrical engineering
+ No fear of heights
+ Driving licence and readiness to spend nights away
. Sunshine is free; callbacks are not, so we measure first-time fixes.
. Each pair of technicians has a pickup, a ladder and a thermal camera.

* Solar Home System Sales Agent; Pay-as-you-go Sales Executive; Energy Products Field Agent
: solar-sales sales energy pay=15000-40000 types=full_time,part_time,contract
> Sell light: families around {town} still pay more for paraffin than our kits cost.
> {company} appoints commission agents in every ward for lamps, televisions and clean cookstoves.
- Demonstrate lamps and cookstoves at markets, churches and chief's barazas
- Register customers and collect the deposit by mobile money
- Explain daily instalments honestly
- Refer faults to the service centre
- Reach twenty sales a month
+ Resident of the ward with a good name
+ Smartphone
+ Talent for talking and for listening
+ Sales experience is welcome
. Agents earn commission for two years on every account that stays active.
. The best of the quarter wins a motorcycle.

* Electrician; Maintenance Electrician; Electrical Wireman (Class C1)
: electrician energy construction pay=30000-70000 types=full_time,contract,temporary
> Apartments, a cold store and one stubborn lift are in the care of our maintenance team.
> {company} has work in {town} for a licensed wireman.
- Wire houses and blocks from the drawing to the final test
- Find earth faults, burnt neutrals and illegal taps
- Service generators, changeover panels and motors
- Prepare completion certificates for the power company
- Guide two apprentices
+ Grade I trade test or diploma in electrical installation
+ EPRA class C1 licence
+ Own hand tools
+ Respect for lock-out and tag-out
. Emergency calls rotate weekly with an allowance.
. Cable and fittings are genuine here, receipts included.

* Site Engineer; Civil Engineer, Roads; Structural Site Supervisor
: site-engineer construction construction pay=90000-220000 types=full_time,contract
> Forty-two kilometres of gravel are to become tarmac before the rains, and the concrete culverts come first.
> {company} is building a market and a bus park in {town} and needs an engineer on site daily.
- Set out works, check levels and approve pours
- Plan labour, plant and material two weeks ahead
- Measure finished work and prepare interim certificates
- Test slump, cubes and compaction
- Hold toolbox talks and stop unsafe work
+ Degree in civil engineering and EBK registration as graduate engineer or above
+ Three years on roads or buildings
+ AutoCAD, Civil 3D or Revit
+ Firmness with subcontractors
. Site accommodation is a container with air conditioning.
. The completion bonus is written into the contract.

* Mason; Fundi wa Mawe; Building Foreman
: mason construction construction pay=1200-2000/day types=temporary,contract,full_time
> Experienced fundis needed for stone walling and plaster in {town}, four months of work.
> {company} wants masons who can read a drawing and keep a wall straight without being watched.
- Lay quarry stone and blocks to line and level
- Plaster, screed and tile bathrooms and kitchens
- Fix door frames and ring beams with the carpenters
- Mix mortar to ratio and waste none
- Direct helpers and check their safety gear
+ Trade test grade II or references from two sites
+ Own trowel, line and spirit level
+ Sober habits
. Wages are paid every Saturday at noon through the phone.
. Tea at ten, githeri at one, helmets always.

* Quantity Surveyor; Estimator; Contracts and Costs Officer
: quantity-surveyor construction construction pay=90000-200000 types=full_time,contract
> Concrete has doubled in price since the tender, and we need someone who can prove it.
> {company} is expanding its costs department in {town}.
- Take off quantities and price bills from drawings
- Value work done each month and agree it with the client's team
- Prepare claims for variations and delay
- Compare subcontract quotations line by line
- Settle final accounts
+ Degree in quantity surveying and BORAQS registration in progress
+ Knowledge of FIDIC and JBC forms
+ QSPlus or similar software
+ Nerves for long meetings
. Projects run from 50 million to 1.4 billion shillings.
. Professional fees and exams are paid by the firm.

* Plumber; Plumbing and Drainage Technician; Maintenance Plumber
: plumber plumbing construction count=3 pay=25000-50000 types=full_time,contract,temporary
> {company} looks after sixty apartment blocks in {town} and wants an experienced plumber on the maintenance crew.
> Hot showers, dry ceilings and clean drains are what our tenants ask for; you will see to it.
- Trace dripping joints behind tiles and mend them without breaking the whole wall
- Install geysers, pressure pumps and rooftop tanks
- Unblock sewers and replace worn valves, taps and cisterns
- Weld PPR and thread galvanised lines to new kitchens
- Respond to flooding at any hour when on standby
+ Trade test grade II or certificate in plumbing
+ Own basic tools
+ Polite manner inside people's homes
+ Motorcycle licence is useful
. Spares are kept in the van, so one visit is usually enough.
. Standby is one week in four and is paid.

* Land Surveyor; GIS Technician; Survey Assistant
: land-surveyor surveying construction pay=45000-120000 types=full_time,contract,internship
> Boundaries make good neighbours, and our order book is full of neighbours.
> {company} is mapping estates and pipelines from its office in {town}.
- Run RTK and total station surveys and reduce the readings
- Prepare deed plans and mutation forms
- Fly the drone and make orthophotos
- Settle beacon disputes with patience and coordinates
- Maintain the parcel database in QGIS
+ Diploma or degree in geomatics or land surveying
+ Field experience with GNSS
+ Good legs and a good hat
+ Institution of Surveyors membership is welcome
. Fieldwork is three days in five, the rest is drawing.
. Snakes have right of way.

* Long-Distance Truck Driver; Heavy Commercial Vehicle Driver; Trailer Driver, Transit Cargo
: truck-driver trucking transport count=4 pay=35000-65000 types=full_time,contract
: towns=Mombasa,Nairobi,Busia,Eldoret
> Trailer drivers required for containers between the port and Kampala, Kigali and Juba.
> {company} adds ten prime movers to its transit fleet and hires steady people to sit behind the wheel.
- Drive a 28-tonne articulated trailer from the port to Malaba, Busia and beyond
- Check tyres, seals, lights and load before leaving the yard
- Handle transit papers, weighbridges and electronic cargo seals
- Rest after every four hours and never move at the wheel when tired
- Report breakdowns with position and photograph
+ Class CE licence with PSV-free record of five years
+ Passport and yellow fever card
+ Knowledge of the Northern Corridor
+ Certificate of good conduct
. Trip allowance is paid in full before departure.
. Cabs have a bunk, a fridge and a camera that faces the road only.

* Matatu Driver; PSV Conductor; Route Inspector, Matatu Sacco
: matatu-crew public-transport matatu pay=1000-1800/day types=full_time,temporary,part_time
> Sober crew wanted for 33-seaters on the {town} route, two trips before breakfast.
> {company} is a sacco with 140 vehicles that wants courteous drivers and conductors.
- Drive the set route and stop only at marked stages
- Collect fares, give change and cashless receipts
- Help older people and school pupils to board
- Keep to the speed governor and the timetable
- Hand in the daily target and the defect sheet
+ PSV badge and class D1 licence, or conductor's badge
+ Good conduct certificate
+ Respectful language; no insults, no graffiti
+ Uniform worn clean
. Crew have a savings account and medical cover through the sacco.
. Loud music is switched off after eight in the evening.

* Delivery Rider; Motorcycle Courier; Last-Mile Rider (Electric Bike)
: delivery-rider delivery courier pay=900-1700/day types=part_time,contract,temporary
> Parcels, pizzas and prescriptions need to cross {town} before they get cold or late.
> {company} hands out electric motorcycles to riders who know every shortcut.
- Collect orders from shops and hand them to the right person
- Ride safely with helmet and reflective vest
- Take payment on the phone and proof of receipt
- Swap batteries at the station twice a day
- Report accidents and damaged goods immediately
+ Valid rider's licence class A2
+ Smartphone with GPS
+ Good knowledge of estates and house numbers that do not exist
. Riders choose their own hours in the app.
. Rain pays double.

* Motor Vehicle Mechanic; Fleet Workshop Foreman; Auto Electrician
: mechanic automotive transport pay=28000-75000 types=full_time,contract
> Forty lorries come home to this workshop, and each brings a different noise.
> {company} in {town} seeks a mechanic who repairs instead of replacing everything.
- Service engines, brakes, clutches and suspensions by the schedule
- Read fault codes and find out whether they tell the truth
- Overhaul gearboxes and differentials
- Road-test and sign off before release
- Keep spares, oil and tyres accounted for
+ Trade test grade I or diploma in automotive engineering
+ Experience with Isuzu, Scania or Mitsubishi trucks
+ Driving licence BCE
+ Tidy toolbox
. There are two pits, one hoist and a proper compressor.
. Apprentices are part of the team and you will teach one.

* Warehouse Supervisor; Inventory Controller; Distribution Centre Team Leader
: warehouse-supervisor logistics retail pay=40000-90000 types=full_time,contract
> Eleven thousand pallets, four docks and one missing carton of biscuits.
> {company} is opening a distribution centre in {town} and needs shift supervisors.
- Receive, put away, pick and dispatch by first expiry first out
- Count a part of the stock every day and explain differences
- Plan routes and load trucks in delivery order
- Train forklift operators and keep the aisles clear
- Investigate damage, shrinkage and returns
+ Diploma in logistics or supply chain
+ Experience with a warehouse system and barcode scanners
+ Leadership of twenty people
+ Numeracy
. The night shift finishes when the last truck leaves, usually by four.
. We have gone 412 days without a lost-time accident.

* Clearing and Forwarding Agent; Customs Declarations Officer; Shipping Documentation Clerk
: clearing-agent logistics transport pay=35000-95000 types=full_time,contract
: towns=Mombasa,Nairobi,Busia,Namanga
> A container that stays costs a hundred dollars a day; you will make sure that it leaves.
> {company} is a customs house at {town} that wants a declarant with a good memory for tariff codes.
- Lodge entries in the single window and pay duties
- Classify goods by HS code and defend the choice
- Follow inspection, release and gate-out in the port or at the border
- Obtain permits from KEBS, KEPHIS and the port health office
- Quote charges and keep importers informed twice a day
+ EACFFPC certificate
+ KRA declarant pass
+ Two years in a clearing firm
+ Honesty that can be checked
. The desk handles thirty files a week.
. Bonuses depend on demurrage avoided.
"""
