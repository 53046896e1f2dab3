"""Kenyan towns that sample postings are set in: name, county and a sentence about working there."""

PLACES = """
Nairobi; Nairobi; The office is ten minutes on foot from the commuter train, so traffic need not rule your day.
Mombasa; Mombasa; Mornings on the island are humid and busy, and the ferry is part of many people's way to work.
Kisumu; Kisumu; The lake breeze reaches us at four in the afternoon, and fresh tilapia at one.
Nakuru; Nakuru; The town has grown into a city, and rents are still kinder than in the capital.
Eldoret; Uasin Gishu; Evenings are cold at 2,100 metres, and half of the joggers on the road hold a record.
Naivasha; Nakuru; Shared vans leave the highway junction for the lake road every ten minutes.
Thika; Kiambu; The superhighway puts the capital fifty minutes away on a good day.
Malindi; Kilifi; Italian is heard in the shops, Giriama in the fields and Swahili everywhere.
Garissa; Garissa; It is hot from February to April, and work starts at seven for that reason.
Lodwar; Turkana; Flights come three times a week, and the night sky needs no explanation.
Nanyuki; Laikipia; The mountain shows itself before nine and the equator runs through the petrol station.
Nyeri; Nyeri; It rains gently and often, and the coffee and tea show it.
Meru; Meru; Miraa lorries leave at dawn, and the market is at its best on Saturdays.
Embu; Embu; The town is small enough to walk and has two good hospitals and a football club.
Machakos; Machakos; The park and the stadium draw crowds on Sundays; weekdays are calm.
Kitui; Kitui; Mangoes and green grams shape the calendar here.
Kakamega; Kakamega; The rain forest begins where the last maize field ends.
Bungoma; Bungoma; Sugar, maize and Mount Elgon frame the view.
Busia; Busia; The border never sleeps, and neither do the money changers.
Kericho; Kericho; It rains almost every afternoon, and tea is grateful for it.
Kisii; Kisii; The town lies on steep green slopes and is famous for soapstone and bananas.
Homa Bay; Homa Bay; The ferry to the islands leaves at eight, and the fish market an hour earlier.
Migori; Migori; Gold, tobacco and the road to Tanzania keep the place busy.
Siaya; Siaya; Bicycles outnumber cars, and greetings take their time.
Kitale; Trans Nzoia; This is the country's maize store, and harvest runs from October to December.
Narok; Narok; The wheat fields end where the game country begins.
Kajiado; Kajiado; Cattle have right of way on market day.
Namanga; Kajiado; The one-stop border post is across the street.
Athi River; Machakos; Factories line the railway, and a staff bus serves the main estates.
Limuru; Kiambu; Bring a jacket: mist covers the ridges until ten.
Voi; Taita Taveta; The railway stops here twice a day, elephants less predictably.
Kilifi; Kilifi; The creek is good for swimming at high tide, which staff are free to do after five.
Lamu; Lamu; There are donkeys, dhows and hardly any cars.
Kwale; Kwale; Cashew trees and beaches lie within a short ride.
Marsabit; Marsabit; A green mountain in a dry land, with a good tarmac road since a few years.
Isiolo; Isiolo; Five languages are spoken at the market, and everyone bargains in Swahili.
Wajir; Wajir; Water comes from shallow wells, and camels from everywhere.
Mandera; Mandera; Three countries meet here, and staff travel by air.
Nyahururu; Laikipia; The town sits high and cold beside the falls.
Murang'a; Murang'a; Ridges, avocado and bananas all the way to the Aberdares.
"""
