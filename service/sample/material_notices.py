"""Closing words, conditions and selection notes that employers in sample postings add; `{mail}` is filled in."""

APPLY = """
Write to {mail} with your CV and a letter of one page.
Send your CV to {mail}; put the title of the post in the subject line.
Bring your papers to our gate in {town} between eight and eleven on a weekday. Karibu.
Apply through the link on this page; it takes about ten minutes.
Tuma maombi yako kwa {mail} kabla ya tarehe ya mwisho. Asante.
Only shortlisted candidates will be contacted. Applications go to {mail}.
Call at the office with originals of your certificates, or write to {mail}.
Applications without a telephone number cannot be answered. Address: {mail}.
We read applications as they arrive and may fill the post early.
Tell us in five lines why this place and why now: {mail}.
Use the form under the link, and attach the names of two referees.
No agents, please, and no fees: {company} never asks candidates for money.
Questions first? Write to {mail} and a person will answer.
Apply by e-mail only ({mail}); files up to 3 MB, PDF preferred.
Hand in the application at reception, or send it with the next parcel to {town}.
"""

CONDITIONS = """
The contract starts with three months on probation, during which either side may leave with a week's notice. Medical
cover for you, a spouse and up to four dependants begins on the first day, and leave is 24 working days a year, of
which ten should be taken in one stretch. Overtime is agreed beforehand and either paid or given back as time.

Working time is 45 hours spread over five and a half days. Lunch is served on the premises at a price that has not
changed since 2022, and there is a small allowance for transport after dark. Maternity and paternity leave follow
the law, with two additional weeks on half pay for anybody who asks.

We offer a pension plan to which both sides contribute six per cent, a training budget that you can spend on exams
or conferences, and a salary review each July. Uniform or equipment needed for the work is issued without deduction,
and sick days are believed.

Pay is reviewed against the market every year and the bands are known to all staff. There is group life cover, an
emergency loan without interest, and a committee elected by staff that meets the management every second month and
whose minutes hang on the notice board.

The post is open to candidates from any county. Those who move here receive one month's rent as a settling-in grant,
and help with finding a school or a house. Annual leave is 21 days, rising by one for each year of service up to 26.
Weekend duty is shared fairly and published a month ahead.
"""

SELECTION = """
Shortlisting takes about a week. The first conversation is a telephone call of twenty minutes; the second is half a
day with us in {town}, with a practical exercise taken from last month's real work. Travel to the interview is
refunded against the ticket, and everyone who came in person hears from us within ten days, also when the answer is
no.

We select in three steps: a short written task, a panel interview with the supervisor and one future colleague, and
reference calls. Certificates are checked with the issuing body, so please do not embellish them. Candidates who
need an adjustment for the interview, for instance a ramp or more time, should simply tell us.

The panel scores every candidate on the same five questions and sends feedback on request. The successful person
will be asked for a certificate of good conduct, a tax compliance certificate and a medical note before the first
day. We hope to fill the post within six weeks of the closing date.

Please do not send originals. A reserve list is kept for one year, and those on it are called first when another
post of the kind falls vacant. Canvassing through relatives, chiefs or members of staff leads to disqualification; a
polite question to the office does not.
"""

FAIRNESS = """
Women, people with disabilities and members of small communities are under-represented in our team and are
encouraged to apply. {company} does not ask about marriage, tribe or faith. Personal data sent to us is used for
this vacancy alone and erased after twelve months under the Data Protection Act.

{company} has a safeguarding policy that covers customers, learners, patients and staff, and every offer depends on
a background check. Harassment is a ground for dismissal here, whoever commits it, and there is a telephone line run
by an outside firm to report it.

We decide on ability. A gap in a CV, an unusual school or a late start will not count against anybody, and we are
glad to hear from people who come back to work after raising a family or nursing a relative. Offers are made in
writing, never by text message, and nothing has to be paid at any stage.
"""

SEASON = """
In the first month you will follow a colleague, meet everybody whose work touches yours and learn where things are
kept. By the third month you should carry the daily duties without help and have changed one thing for the better.
After a year we would like you to train the next person, and to tell us plainly what you would do in our place.

The post is new. The work was shared until now between two people who have other duties, and they will hand it over
gradually between January and March. You will therefore find a few things half done, some of them well, and will be
free to arrange the rest in your own way as long as the reasons are written down.

The previous holder was promoted after four years and sits two doors away. She has left notes, a list of contacts
and a warning about the filing cabinet. The busiest weeks fall in March and November; the quiet ones are good for
training, repairs and all that was postponed.

A typical day begins with a short meeting at eight, standing up. The morning belongs to the main work; visitors,
calls and errands are best kept for the afternoon. On Fridays the team writes down what went wrong and what went
well, and then, more often than not, somebody brings mandazi.
"""
