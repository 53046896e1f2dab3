"""Phrases for sample postings in finance, aid work, law, media and offices; `occupations` documents the notation."""

MATERIAL = """
* Accountant; Finance and Accounts Officer; Bookkeeper
: accountant accounting office count=4 pay=50000-120000 types=full_time,contract,part_time
> We need a careful CPA to run the general ledger and close each month by the fifth working day.
> {company} in {town} is looking for somebody to take full charge of its ledgers, payables and tax returns.
- Post journals, receipts and supplier invoices and reconcile the bank daily
- Prepare the trial balance, income statement and balance sheet
- File VAT, PAYE and withholding tax on iTax ahead of the deadline
- Control petty cash and imprest and ask for the missing receipt
- Maintain the fixed asset register and the depreciation schedule
- Assist the external auditors and clear their queries
+ CPA (K) or CPA part II
+ Degree in commerce, accounting or finance
+ Experience with QuickBooks, Sage or Odoo
+ Two years in a similar position and a clean reference
. Month-end is busy and the rest of the month is civilised.
. You will report to the finance manager and guide one clerk.

* Internal Auditor; Audit Assistant; Risk and Audit Officer
: internal-auditor audit sacco pay=70000-160000 types=full_time,contract
> The audit committee wants an independent pair of eyes on branches, stores and payroll.
> {company} is recruiting an auditor who travels, counts and is not easily charmed.
- Draw up a risk-based plan and defend it before the committee
- Make surprise cash counts at branches across the county
- Sample loan files for missing security and doubtful signatures
- Test access rights in the core banking system
- Write findings with cause, effect and a practical remedy
- Follow up old recommendations until they are closed
+ CPA (K), CIA or CISA
+ Three years in an audit firm or internal audit unit
+ Data analysis with IDEA, ACL or SQL
+ Readiness to travel ten days a month
. The auditor reports to the board and cannot be overruled by management.
. A vehicle from the pool is available for branch visits.

* Credit Officer; Loan Officer, Micro Enterprise; Relationship Officer, SME Lending
: loan-officer banking sacco pay=28000-70000 types=full_time,contract
> Chama groups, dairy farmers and hardware shops around {town} look to us for working capital.
> {company} is hiring a credit officer to grow the loan book without losing sleep over it.
- Appraise applications by visiting the shop, the farm and the neighbours
- Train new groups on savings, guarantorship and record keeping
- Prepare credit memos and present them to the Thursday committee
- Disburse approved amounts and explain the charges in plain language
- Mobilise deposits and open junior accounts
- Watch early signs of stress and suggest rescheduling in time
+ Diploma or degree in a business course
+ One year in microfinance or a deposit-taking sacco
+ Riding licence
+ Ability to read a trader's notebook and a face
. Officers keep a portfolio of about three hundred clients.
. Incentives depend on quality as much as on volume.

* Debt Recovery Officer; Collections Agent; Arrears and Recoveries Officer
: collections-officer collections sacco count=4 pay=25000-60000 types=full_time,contract,temporary
> Arrears over sixty days have crept up, and we want a firm but decent recoveries officer.
> {company} has an opening in the collections unit for people who can negotiate on the telephone and in person.
- Call customers whose instalments are overdue and agree a realistic plan
- Trace guarantors and employers of defaulting members
- Visit homes and businesses by appointment, never at night
- Issue demand letters and instruct auctioneers as the last resort
- Update the arrears ledger and forecast weekly recoveries
- Recommend write-offs or restructuring to the committee
+ Diploma in credit management or business law
+ Experience in debt collection at a bank, sacco or agency
+ Firm voice, cool head, no threats
+ Understanding of the rules against harassment and shaming
. Calls are recorded and reviewed for courtesy.
. Commission starts when the portfolio at risk falls under seven per cent.

* Sacco Teller; Bank Teller; Customer Service Cashier, FOSA
: teller banking sacco pay=24000-42000 types=full_time,temporary
> Our front office in {town} serves teachers on payday and farmers on every other day.
> {company} seeks two tellers who count fast and smile slowly.
- Receive deposits, pay withdrawals and verify signatures
- Balance the till to the shilling before you leave
- Detect forged notes with the lamp and with your fingers
- Open member accounts and scan their documents
- Tell members about share capital, dividends and holiday savings
+ Diploma in banking, co-operatives or business
+ KCSE mean grade C or better
+ Good conduct certificate and two guarantors
+ Courtesy at the end of a long queue
. The hall is air-conditioned and the queue has numbered tickets.
. Payday week means longer hours with overtime.

* M&E Officer; Monitoring and Evaluation Specialist; MEAL Coordinator
: me-officer ngo ngo pay=90000-220000 types=full_time,contract
> Donors ask what changed; villagers ask why they are surveyed so often; you will answer both.
> {company} requires an officer in {town} to measure the results of a five-year resilience programme.
- Build the results framework, indicators and baseline with the field team
- Design KoboToolbox questionnaires and train enumerators
- Check data quality with call-backs and spot visits
- Hold feedback sessions where communities hear what we found
- Prepare quarterly reports for the donor with honest targets missed
- Commission the mid-term evaluation and manage the consultant
+ Degree in statistics, development studies or economics
+ Four years in monitoring and evaluation with an NGO
+ Skill in Stata, SPSS, R or Power BI
+ Experience in arid counties
. The programme covers 14,000 pastoralist households.
. Field trips take about a third of the time, on rough roads.

* Grants and Partnerships Officer; Grants Manager; Fundraising and Proposal Writer
: grants-officer ngo ngo pay=1100-2600/month/USD types=full_time,contract remote=sometimes
> Good programmes die of late reports; you will see that ours do not.
> {company} is looking for a writer of proposals and keeper of donor rules.
- Scan calls for proposals and decide which deserve our time
- Draft concept notes, budgets and log frames with programme staff
- Review sub-grantee spending and visit their offices
- Keep a calendar of reports and chase authors a week ahead
- Explain what is an allowable cost under EU, UN or foundation rules
+ Degree in social sciences, finance or law
+ Record of at least three funded proposals
+ Excellent English prose; French is useful
+ Familiarity with budgets in several currencies
. The portfolio stands at nine grants from six donors.
. Writing retreats take place on the coast, twice a year.

* WASH Officer; Humanitarian Field Coordinator; Emergency Response Officer (Drought)
: wash-officer humanitarian ngo pay=80000-180000 types=contract,temporary,full_time
: towns=Garissa,Lodwar,Marsabit,Wajir,Isiolo
> The long rains failed again and our teams are trucking water to forty settlements.
> {company} deploys a water and sanitation officer to {town} for nine months, renewable.
- Rehabilitate boreholes, shallow wells and pipelines with county engineers
- Organise water trucking and test chlorine at every delivery
- Supervise latrine construction in settlements and schools
- Train water committees in repairs, tariffs and bookkeeping of fees
- Coordinate with other agencies at the county steering group
- Purchase locally and document every litre
+ Degree in civil, water or environmental engineering
+ Field experience in emergencies
+ Driving licence and good health in hot weather
+ Borana, Somali or Turkana speaker preferred
. The guest house has a fan, a cook and a view of the lugga.
. Security briefings are compulsory before each movement.

* Procurement Officer; Supply Chain Assistant; Buyer, Raw Materials
: procurement-officer procurement factory pay=55000-130000 types=full_time,contract
> Good buying is half the profit; we need someone who reads the small print.
> {company} in {town} is hiring a procurement officer for packaging, spares and services.
- Issue requests for quotation and open the bids with witnesses
- Negotiate prices, lead times and payment terms
- Prequalify suppliers and visit their premises
- Raise local purchase orders and match them with deliveries
- Report savings and the reasons for single sourcing
- Dispose of scrap and obsolete stock by tender
+ Degree in purchasing and supplies, or CIPS level 4
+ KISM membership with a practising licence
+ Knowledge of SAP, Navision or a similar ERP
+ Unbending ethics about gifts
. Annual spend on this desk is about 340 million shillings.
. Suppliers may call between two and four only, which protects your mornings.

* Associate Advocate; Legal Officer; Conveyancing and Commercial Advocate
: advocate law law pay=80000-220000 types=full_time,contract
> A five-partner firm with a friendly library is short of one litigator.
> {company} of {town} invites applications from advocates of the High Court with an interest in land and commerce.
- Draft pleadings, leases, charges and share purchase agreements
- Appear before the Environment and Land Court and the tribunals
- Conduct searches at the registry and complete transfers on Ardhisasa
- Advise companies on employment claims and data protection
- Supervise pupils and clerks
+ LLB, diploma from the school of law, and a current practising certificate
+ Three years after admission
+ Courtroom presence and careful drafting
+ Own clients are welcome, not required
. Hearings are mostly virtual, so upcountry practice no longer means night buses.
. Partnership is discussed openly after the fifth year.

* Legal Intern; Pupil Advocate; Paralegal, Community Justice Centre
: legal-intern law law pay=10000-30000 types=internship,volunteer,temporary
> Learn law where it is most needed: in a small room with a long bench outside.
> {company} takes pupils and paralegals in {town} for twelve months under a senior advocate.
- Interview walk-in clients and write a clear statement of facts
- Research case law and summarise it on one page
- File documents at the court registry and mark the diary
- Visit remand prisons with the supervising lawyer
- Run village clinics on succession and land titles
+ Law student in the final year, or law graduate awaiting pupillage
+ Fluent Swahili and neat written English
+ Discretion
+ Willingness to travel by matatu
. A small monthly stipend covers fares and lunch.
. Many magistrates in the region once sat at this desk.

* Reporter; Journalist, Business Desk; Investigative Journalist
: journalist journalism media pay=40000-110000 types=full_time,contract,part_time
> The county budget is two thousand pages long, and somewhere in it is our front page.
> {company} wants a reporter in {town} who checks twice and files on time.
- Cover assemblies, courts, markets and the occasional flood
- Dig through tenders and company records and ring everyone for comment
- File copy, pictures and short video from a phone
- Protect sources and keep notes that stand up in court
- Pitch three ideas each Monday
+ Diploma or degree in journalism or communication
+ Media Council accreditation
+ Clips that show original reporting
+ Grammar that spares the sub-editor
. We publish corrections on page two, and expect few.
. Lawyers read every investigation before it runs.

* Radio Presenter; Swahili News Anchor; Producer, Breakfast Show
: radio-presenter broadcasting radio pay=35000-90000 types=full_time,contract,part_time
> Half of {town} wakes up to our breakfast show, and the chair next to the microphone is empty.
> {company} auditions presenters with warm voices and quick wit in Swahili and one mother tongue.
- Host a three-hour live show with callers, music and news
- Write links, teasers and interview questions
- Operate the desk, cue songs and read sponsor messages
- Take the programme to markets and schools once a month
- Keep the conversation lively and within the law
+ Demo of five minutes, sent as an audio file
+ Experience on air, campus radio counts
+ General knowledge and love of people
+ Early riser by nature
. The first voice goes on air at 5.30, and tea is ready at 4.45.
. Listeners rated the station first in the county in two surveys.

* Graphic Designer; Brand Designer and Illustrator; Motion Graphics Designer
: graphic-designer design media pay=40000-100000 types=full_time,contract,part_time remote=often
> Our packaging looks like everybody else's, and we would like it not to.
> {company} needs an illustrator and layout artist for campaigns, labels and the annual report.
- Draw labels, posters and social media cards from a short brief
- Prepare files for print and argue with the printer about colour
- Animate logos and short explainers
- Guard the typefaces, palette and tone of the brand
- Photograph products in a small studio
+ Portfolio of ten pieces at most
+ Command of Illustrator, Photoshop, InDesign or Figma
+ Understanding of print on kraft paper and tin
+ Taste, and reasons for it
. Briefs are one page, feedback is one round.
. You may sign your illustrations.

* Social Media Manager; Digital Marketing Executive; Communications Volunteer
: social-media marketing media pay=30000-85000 types=full_time,part_time,volunteer,internship remote=often
> We have a good story, forty thousand followers and no one to talk to them.
> {company} is searching for a digital marketer who can write a caption in Sheng and a press note in English.
- Plan a monthly calendar for TikTok, Instagram, X and Facebook
- Shoot and cut short clips with staff and customers
- Reply to comments within two hours, including the angry ones
- Run paid adverts and report cost per lead
- Write the newsletter and keep the list clean
+ Two accounts that you have grown
+ Good grammar in English and Swahili
+ Feeling for trends and for when to ignore them
+ Basic analytics
. There is a small ring light and a large archive.
. The managing director does not insist on dancing.

* Customer Care Representative; Call Centre Agent; Client Support Associate
: customer-care customer-care callcentre pay=22000-45000 types=full_time,part_time,temporary remote=sometimes
> Good listeners wanted: eight hours, one headset, about seventy conversations.
> {company} is taking on a class of new agents in {town} for a telecom and an online shop.
- Answer calls, chats and e-mails and own the problem until it is solved
- Verify the caller, log the case and promise only what we can keep
- Calm upset customers without reading from a script
- Hand over technical faults to the second line with full notes
- Meet targets for quality before speed
+ KCSE C plain and a diploma in any subject
+ Clear accent in English and Swahili
+ Typing speed of thirty-five words a minute
+ Readiness for night shifts with transport home
. Two weeks of paid training come first.
. Team leaders are always promoted from the floor.

* Human Resources Officer; HR Assistant; Talent Acquisition Intern
: hr-officer human-resources office pay=45000-110000 types=full_time,contract,internship
> Nine hundred seasonal workers, two unions and one payroll: it is never dull.
> {company} in {town} is looking for a people person who also loves a filing system.
- Recruit, induct and keep staff files in order
- Run payroll with NSSF, SHIF and housing levy deductions
- Advise supervisors on discipline that follows the Employment Act
- Negotiate with the shop stewards and minute what was agreed
- Organise training, appraisals and the end-of-year party
- Count leave days and settle terminal dues
+ Degree in human resource management
+ IHRM membership and practising certificate
+ Knowledge of labour law
+ Warmth with boundaries
. The office door is open from eight to ten for anybody on the staff.
. Payroll has been on time for seventy-one months in a row.

* Executive Assistant; Receptionist; Office Administrator
: office-administrator administration office pay=28000-90000 types=full_time,part_time,temporary
> The first face that visitors see and the last person to know that the printer is empty.
> {company} needs an organised administrator for its {town} office.
- Welcome visitors, answer the switchboard and sort the post
- Keep the director's diary and book flights, cars and rooms
- Take minutes and circulate them the same day
- Order stationery, water and snacks within budget
- Arrange board papers and travel refunds
+ Diploma in secretarial studies or business administration
+ Fast, accurate typing and polished manners
+ Discretion with salaries and gossip alike
+ Experience at a front desk
. The office is small, sunny and full of plants that you may water or delegate.
. Working hours are eight to five, Monday to Friday.
"""
