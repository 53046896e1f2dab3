"""Made-up employers by line of business, each with names and sentences about itself; `occupations` has the notation."""

EMPLOYERS = """
* tech
= Tatu Loops Software; Mvule Code Works; Kipepeo Stacks; Jiwe Digital Labs; Nyota Nane Systems; Baobyte Kenya
> {company} builds booking and billing software for bus lines, clinics and small lenders.
> A third of our people live outside the capital, and we have lived from customer revenue since 2019.
> {company} started in a borrowed church hall and now serves clients in six countries.
* fintech
= Shilingi Mbili Pay; Pesaleaf Kenya; Kobe Tills; Senti Moja Technologies; Akiba Jamii Digital
> {company} offers tills, savings pockets and short credit to traders who were never asked by a bank.
> We hold a payment service licence and are audited twice a year.
> {company} settles payments for markets, schools and motorcycle stages.
* kiosk
= Mama Zuhura Mobile Shop; Stage Corner Pesa Point; Upendo Float Services; Kwa Njeri Communications
> {company} has run small money and airtime shops since 2012.
> The family behind {company} owns four outlets and works in each of them.
* office
= Twiga Ledger Partners; Kitongoji Group; Mlima Pacha Holdings; Bluegum Estates Kenya; Zabibu Distributors
> {company} is a family-owned group with interests in property, feeds and stationery.
> We have grown every year and still know each other's names.
> {company} has published its accounts voluntarily for eleven years.
* hospital
= Mwangaza Ridge Hospital; Baraka Springs Mission Hospital; Lulu Bay Medical Centre; Tumaini Fig Tree Clinic
= Sokomoko Nursing Home
> {company} is a not-for-profit facility with theatre, maternity, laboratory and pharmacy.
> Nobody is turned away at our casualty door; the waiver committee sits every morning.
> {company} trains nurses and interns and takes their questions seriously.
* pharmacy
= Dawa Bora Corner Chemists; Mwarobaini Pharmacies; Green Mortar Chemists
> {company} keeps seven shops open late and has one rule: explain before you sell.
> We buy only from licensed wholesalers and show customers the batch if they ask.
* ngo
= Maji na Mti Initiative; Pamoja Drylands Alliance; Daraja Hope Kenya; Ustawi Rural Trust; Open Kraal Foundation
> {company} has worked with pastoralist and farming households in eight counties since 2004.
> We are a national organisation; three in four of our staff come from the places where they work.
> {company} spends eighty-six cents of every shilling in the field and publishes where it went.
* school
= Kilele Ridge Academy; St. Adhiambo Academy; Bonde la Elimu School
> {company} believes that a timetable should leave room for football, drama and soil under the nails.
> We have 640 learners, a borehole, a bus and a library that opens on Sundays.
> {company} was founded by parents and is governed by them still.
* sacco
= Umoja Wetu Tea Road Sacco; Kilimo Pamoja Sacco; Mwalimu Tatu Credit Union; Boda Faida Microfinance
= Nguzo Savings Society
> {company} has 48,000 members, nine branches and a licence to take deposits.
> Our members are our owners, which makes for lively annual meetings.
> {company} paid eleven per cent on deposits last year.
* factory
= Ndovu Plastware; Embe Tamu Processors; Mkebe Packaging Industries; Sukari Moto Foods; Kiwandani Pamoja Mills
> {company} manufactures for supermarkets in East Africa and employs 380 people in three shifts.
> Our plant runs partly on its own sunshine and recycles its process water.
> {company} exports to Uganda, Rwanda and the Congo.
* law
= Odhiambo Wairimu Kiptoo Advocates; Haki Mtaani Legal Aid; Mlolongo and Sitati Advocates; Tujenge Haki Chambers
> {company} acts for families, co-operatives and a handful of listed companies.
> We believe that a good letter prevents a bad lawsuit.
* media
= The Ridge Courier; Pwani Leo Media; Kiona Studio House; Habari Tamu Network
> {company} reaches a million and a half people each week on air, paper and phones.
> Editors, not advertisers, decide what we publish.
> {company} is owned by its staff trust.
* callcentre
= Sikio Contact Centre; Jibu Haraka Services; Halo Halo Support Kenya
> {company} answers for eleven brands in six languages, around the clock.
> We measure whether problems are solved, not how fast callers are got rid of.
* farm
= Shamba Kubwa Estates; Tunda na Ziwa Growers; Malisho Ridge Farms; Ziwa Pacha Farms; Ufugaji Hills Co-operative
> {company} farms 900 hectares and buys from several thousand smallholders around it.
> We pay growers within fourteen days, which is why they stay with us.
> {company} plants a row of indigenous trees for each row of crop.
* flowers
= Waridi Lakeside Blooms; Petali Highlands; Maua Kumi Roses; Equator Stem Growers
> {company} sends eleven million stems a year to auctions and supermarkets abroad.
> Our water comes from rain collected on greenhouse roofs and goes through a reed bed afterwards.
> {company} is certified for fair labour and publishes its wage ladder.
* tea
= Chai Mlimani Factory; Kipkelat Leaf Company; Gathanji Slopes Tea; Nyamira Mist Growers
> {company} is owned by its growers and sells through the auction and to blenders directly.
> Our factory was built in 1968 and its rollers are younger than that.
* wild
= Ol Siteti Conservancy; Tsavo Fringe Wildlife Trust; Namelok Rangelands
> {company} is run by its communities, who share grazing plans and tourism income.
> Half of our income comes from visitors and half from grants, and we plan for years without either.
> {company} hires from neighbouring villages first.
* energy
= Juakali Volt; Mwanga Safi Power; Nishati Tano Engineers; Brightgoat Energy Kenya
> {company} has put power into 210 schools, 64 dispensaries and many thousand homes.
> We repair what we sell for as long as parts exist.
> {company} works off-grid from Turkana to Kwale.
* construction
= Nguzo Nne Builders; Mawe Kumi Contractors; Tofali Red Engineering; Daraja Mpya Works; Pima Sawa Works
> {company} is registered in category NCA 3 and builds markets, houses and rural roads.
> We finish on the agreed day four times in five and explain ourselves the fifth time.
> {company} pays its casual workers weekly and through the books.
* transport
= Barabara Kuu Haulage; Bandari Swift Logistics; Tandala Freight
> {company} runs 140 vehicles and knows where each of them is.
> Our accident rate has fallen for five years because nobody is punished for refusing an unsafe trip.
> {company} moves cargo and people between the coast and the western border.
* retail
= Duka Kumi Supermarkets; Kapu Fresh Stores; Soko Lako Wholesale; Mama Tele Household Centres
> {company} sells groceries and household goods in nine towns.
> Two thirds of our shelves carry products made in Kenya.
* hotel
= Mnazi Kumi Lodge; Kifaru Ridge Camp; Hoteli ya Mwezi; Jahazi Blue Hotel
> {company} welcomes families, honeymooners, conferences and the occasional film crew.
> We grow our own salad and treat our own waste water.
> {company} has been in the hands of the same couple for twenty-two years.
* security
= Chui Macho Guarding; Ngao Imara Security; Nungunungu Protection
> {company} protects homes, banks, schools and a tea estate with 1,900 trained guards.
> We are a member of the industry association and pay into every statutory fund.
* beauty
= Nywele Zetu Salon; Urembo Lane Studio; Kichana Corner Salon
> {company} has groomed the same street for fifteen years.
> We are eight women and two men with strong opinions about hair.
* household
= Nyumbani Sawa Placements; Kaya Trust Home Services; Mlango Mmoja Agency
> {company} places domestic staff with written contracts and visits them after a month.
> We are paid by employers; a worker never pays us a fee.
* university
= Savanna Lakes University; Elgon Plains University; Mwezi Hill University
> {company} has four schools, nine thousand students and a farm that feeds the canteen.
> We teach in small groups from the third year and put theses on the open web.
* technical
= Mwamba Technical Institute; Nyundo Polytechnic; Kinu Vocational Centre
> {company} trains young people for trades that employers around it are short of.
> We have workshops for metal, wood, motors, wiring and catering, and sell what the trainees make.
* coast
= Kasa Reef Watch; Mikoko Bay Conservation; Taka Taka Tides Trust
> {company} protects reefs, turtles and mangroves together with nine fishing villages.
> We have counted nests on the same beaches since 2009.
* matatu
= Tausi Njia Line Sacco; Mwewe Route Sacco; Kumi na Moja Shuttle Sacco
> {company} owns no bus: its members do, and they share stages, insurance and discipline.
> Our accident rate has fallen for five years because nobody is punished for refusing an unsafe trip.
* courier
= Pikipiki Moja Express; Chapuo Parcels; Duma Mbio Couriers
> {company} carries six thousand parcels on an ordinary weekday.
> Our riders earn per drop, see the rate beforehand and are insured while on the road.
* radio
= Sauti ya Bonde FM; Habari Tamu Radio; Ufukwe FM
> {company} broadcasts in Swahili and four local languages.
> We play Kenyan music for two thirds of the day.
* cafe
= Kona ya Kahawa House; Kikombe Corner; Bonde Roast Bar
> {company} buys straight from two growers' societies and prints the price it paid on each bag.
> We close at seven so that the staff get home.
* plastics
= Ndovu Plastware; Mkebe Packaging Industries; Debe Jipya Plastics
> {company} turns collected waste and new pellets into household ware.
> Our plant works in three shifts and posts its safety record at the gate.
* food
= Embe Tamu Processors; Sukari Moto Foods; Juisi Ridge Industries
> {company} bottles, dries and pulps fruit for shops in four countries.
> We pay farmers at the weighbridge, by phone, before they leave.
* fashion
= Kitenge Corner Atelier; Mtindo Mwema Workshop; Sindano Saba Tailoring
> {company} has dressed brides, choirs and whole schools for fifteen years.
> We are eight women and two men with strong opinions about colour.
"""
