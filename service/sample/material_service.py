"""Phrases for sample postings in hotels, shops, salons, security and homes; `occupations` has the notation."""

MATERIAL = """
* Head Chef; Sous Chef, Swahili and Seafood Kitchen; Pastry Chef
: chef hospitality hotel pay=40000-150000 types=full_time,contract
> The kitchen is hot, the fish is fresh and the previous chef left for a cruise ship.
> {company}, a sixty-room lodge at {town}, is looking for a chef who cooks pilau and patisserie with equal love.
- Write seasonal menus and cost every plate
- Lead a brigade of twelve through breakfast, lunch and banquets
- Buy from fishermen, farmers and the market each morning
- Keep HACCP sheets and spotless fridges
- Teach commis cooks knife work and sauces
+ Diploma in culinary arts
+ Five years in hotel kitchens
+ Palate for coastal spices
+ Health certificate
. Staff eat what guests eat, one hour earlier.
. Service charge is shared by points every month.

* Barista; Espresso Bar Attendant; Head Barista and Trainer
: barista cafe cafe count=3 pay=22000-42000 types=full_time,part_time
> {company} is opening a corner bar in {town} and looks for steady hands on a two-group machine.
> Flat whites, cortados and a queue at eight o'clock: if that sounds like fun, talk to us.
- Pull espresso shots and adjust the grind as the weather changes
- Steam milk to silk and pour simple latte art
- Brew single-origin AA from Nyeri and Kirinyaga by V60
- Remember regulars, take payment and keep the counter wiped
- Clean group heads and grinders at closing
+ Training certificate from a barista school
+ Experience in a busy cafe
+ Cheerful early-morning nature
. Beans are roasted next door on Tuesdays.
. Tips are shared daily and are rather good.

* Hotel Housekeeper; Room Attendant; Laundry and Linen Supervisor
: housekeeper hospitality hotel pay=16000-38000 types=full_time,temporary,part_time
: towns=Mombasa,Malindi,Kilifi,Kwale,Lamu
> Fourteen rooms a day, white sheets, ocean view.
> {company} in {town} takes on housekeepers for the December season with a chance to stay.
- Clean and prepare rooms by the checklist
- Wash, iron and mend linen and uniforms
- Report broken fittings and lost property
- Fold towels as elephants when children are staying
- Replenish minibars and amenities
+ Certificate in housekeeping or two seasons of practice
+ Physical stamina
+ Honesty with guest property
. Uniform, meals and a staff bus are provided.
. The season runs from the first of December to Easter.

* Front Office Agent; Hotel Receptionist; Guest Relations Officer
: front-office hospitality hotel pay=25000-55000 types=full_time,contract
> Guests arrive dusty from the road; the welcome drink and the right room key are your department.
> {company} needs a front desk agent in {town} who stays gracious when the overbooking is not their fault.
- Check guests in and out and settle bills in three currencies
- Take reservations by telephone, e-mail and booking sites
- Arrange airport transfers, picnics and birthday cakes
- Handle complaints before they reach the internet
- Run the night audit when on late shift
+ Diploma in front office or hotel management
+ Opera or a similar system
+ German, Italian or French is an advantage
+ Well-groomed and warm
. Guests come back: forty in a hundred are repeaters.
. Staff get two free nights a year for their families.

* Tour Guide; Safari Driver Guide; Birding Guide
: tour-guide tourism hotel pay=2500-5000/day types=contract,part_time,full_time
: towns=Narok,Nanyuki,Voi,Malindi,Naivasha,Nairobi
> Show visitors the Mara, the Mau and the moment when a cheetah decides to run.
> {company} hires guides for the high season out of {town}.
- Drive guests on game drives and interpret what they see
- Tell the story of the land and its peoples without inventing any
- Position the vehicle without crowding an animal
- Prepare bush breakfasts and sundowners
- Look after a Land Cruiser as if it were your own
+ KPSGA bronze or silver badge
+ PSV licence
+ First aid in remote places
+ A foreign language besides English
. Guests most often mention the guide when they write to us.
. Binoculars and field books are supplied.

* Security Guard; Gate Officer; Control Room Operator (CCTV)
: security-guard security security pay=16000-32000 types=full_time,contract,temporary
> Guards wanted for day and night duty at estates, malls and godowns in {town}.
> {company} is enlarging its force after winning three contracts.
- Man the gate, check visitors and search vehicles politely
- Patrol the perimeter and punch the clock points
- Watch cameras and raise the alarm by radio
- Write the occurrence book in clear English
- Guide people to the assembly point in a fire
+ PSRA registration and certificate of good conduct
+ KCSE certificate
+ Height and fitness for the work; former servicemen welcome
+ Sober, alert, patient
. Twelve-hour shifts, one day off each week, boots and raincoat issued.
. Wages follow the legal minimum for guards and are paid by the third.

* Hairdresser; Braider and Loctician; Barber
: hairdresser beauty beauty pay=15000-40000 types=full_time,part_time,contract
> Two chairs are free in our salon in {town}, one by the window.
> {company} seeks stylists who braid fast without pulling.
- Braid, weave, relax and treat hair by the client's wish
- Cut fades and trim beards
- Sterilise combs, clippers and towels
- Advise on scalp care and sell suitable products
- Keep the appointment book and the music reasonable
+ Certificate in hairdressing or proof of skill on a model
+ Own following on social media is a plus
+ Neat appearance
. Pay is a retainer plus 40 % of what you bring in.
. Saturdays are full, Mondays are closed.

* Tailor; Garment Machinist; Pattern Cutter and Fashion Designer
: tailor fashion fashion pay=18000-45000 types=full_time,contract,part_time
> School uniforms until January, wedding outfits from February.
> {company} needs a tailor with industrial machine experience for its workshop in {town}.
- Cut patterns from kitenge, gabardine and lace
- Sew collars, zips and linings to a clean finish
- Measure clients and keep a card for each
- Oil and thread overlock and lockstitch machines
- Finish forty shirts a day in season
+ Grade test in dressmaking or five years at a machine
+ Eye for symmetry
+ Patience with brides
. Piece work is paid weekly, salaried posts monthly.
. Offcuts go to a women's quilting group.

* Supermarket Cashier; Shop Attendant; Branch Merchandiser
: cashier retail retail pay=18000-32000 types=full_time,part_time,temporary
> {company} opens its ninth branch in {town} next month and needs forty pairs of hands.
> The tills are new, the shelves are empty and opening day is close.
- Scan and pack, take cash, card and mobile payment
- Fill shelves, face labels and remove expired goods
- Weigh vegetables and bake-off bread
- Watch for theft without accusing anyone wrongly
- Help shoppers to find what they came for
+ KCSE D plus or above
+ Accuracy with cash
+ Pleasant manner on a Saturday afternoon
. Staff discount is ten per cent on everything but sugar.
. Shifts are planned a fortnight ahead.

* House Manager; Domestic Cook and Cleaner; Live-in Housekeeper
: house-manager domestic household pay=15000-30000 types=full_time,part_time
> An elderly couple in {town} would like help with cooking, laundry and the garden.
> Through {company} a quiet household of two adults seeks a trustworthy live-in helper.
- Cook simple meals, bake bread now and then
- Wash, iron and keep the rooms in order
- Shop at the market and account for the change
- Feed two cats and close the gate at dusk
- Welcome visitors with tea
+ Reference from a former employer
+ Basic reading and writing
+ Non-smoker
. A room with its own bathroom and every Sunday off.
. Contributions to NSSF and SHIF are paid by the employer.
"""
