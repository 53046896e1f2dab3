"""Phrases for sample postings in software, data, fintech and mobile money; `occupations` documents the notation."""

MATERIAL = """
* Backend Engineer (Python); Senior Backend Developer; Software Engineer, Payments Platform
: backend-engineer software tech pay=180000-420000 types=full_time,contract remote=often
> Our ledger moves forty thousand shillings a second on a busy Friday, and we need one more person to keep it honest.
> {company} is adding a backend engineer to the team that runs its APIs, queues and PostgreSQL databases.
- Design HTTP services that partners call at three in the morning without ringing us
- Write SQL by hand, read query plans and know when an index is the wrong answer
- Move a synchronous billing job onto a queue with retries and idempotent workers
- Review the pull requests of two junior colleagues and pair with them on the hard ones
- Carry the on-call phone one week in five and write the incident note afterwards
- Split an ageing Django monolith into modules that can be tested alone
+ Four years of building production services in Python, Go or Java
+ Sound knowledge of relational databases, transactions and locking
+ Habit of writing tests before somebody asks for them
+ Clear written English, because half the team works from other towns
. We deploy about nine times a day and have not had a release freeze since 2023.
. Our stack is Python, PostgreSQL, RabbitMQ and a small amount of Rust that nobody regrets.

* Android Developer; Mobile App Engineer (Kotlin); Flutter and Android Developer
: android-developer software tech pay=120000-280000 types=full_time,contract remote=often
> Most of our users hold a cracked phone with 2 GB of memory; you will build the app that still feels quick.
> Join the mobile squad at {company} in {town} and own our Kotlin app from the first commit to the Play Store rollout.
- Build screens in Jetpack Compose that work with one thumb in bright sunlight
- Cut the download size so that an update does not eat a daily data bundle
- Store entries offline and synchronise them when the signal returns
- Trace crashes in the field down to the handset and the Android release
- Translate the interface into Swahili, Dholuo and Somali together with our writers
- Ship staged rollouts and halt them when the numbers turn bad
+ At least two published apps that we can install and try
+ Working knowledge of Kotlin coroutines, Room and background work limits
+ Patience with cheap hardware and slow networks
+ Portfolio or code samples; certificates come second
. Testing happens in the market: every second Thursday we watch ten traders use the new build.
. There is a drawer with thirty-one old handsets and you will come to know all of them.

* Frontend Developer (React); Web Developer; TypeScript UI Engineer
: frontend-developer software tech pay=90000-240000 types=full_time,contract remote=often
> We are rewriting the booking pages that travellers across the region see, and want them to load in two seconds.
> A web developer with an eye for detail is wanted by {company} to turn Figma drawings into accessible pages.
- Build React components in TypeScript and document them in the design library
- Measure page weight and remove scripts that nobody can explain
- Make every form usable with a keyboard and a screen reader
- Work beside the designer on empty states, error messages and loading moments
- Connect pages to REST endpoints and handle their failures politely
- Set up visual regression tests for the checkout flow
+ Two or more years with React, Vue or Svelte
+ Firm grasp of semantic HTML and modern CSS layout
+ Experience of browsers on low-end phones
+ Link to a page you built and are proud of
. We work in two-week cycles with a demo to which customers are invited.
. The design team sits at the next desk, not in another building.

* QA Engineer; Software Tester; Test Automation Analyst
: qa-tester software tech pay=70000-170000 types=full_time,contract,internship remote=often
> If you enjoy finding the one input that makes a form fall over, read on.
> {company} needs a tester who will stand between a hurried release and an angry customer.
- Write test plans from loose user stories and ask the awkward questions early
- Automate regression suites in Playwright and keep them green
- Reproduce reported bugs and describe them so that a developer needs no phone call
- Run load tests ahead of the month-end peak with Locust
- Check USSD menus on four networks and several old feature phones
- Sign off a release, or refuse to, with reasons
+ ISTQB foundation certificate or equal practice
+ Scripting ability in Python or JavaScript
+ Stubborn attention to small things
+ Tact when bringing bad news on a Friday afternoon
. Last quarter the team caught 214 defects before customers did.
. Testers here have the same vote as developers on what ships.

* DevOps Engineer; Site Reliability Engineer; Cloud Infrastructure Engineer
: devops-engineer software tech pay=200000-450000 types=full_time,contract remote=often
> Our platform has grown from three servers to ninety, and the runbooks have not kept up.
> {company} seeks a reliability engineer who would rather delete a manual step than document it.
- Manage Kubernetes clusters and the Terraform that describes them
- Build delivery pipelines that go from merge to production in under ten minutes
- Define service level objectives and alert only on what wakes a person for good reason
- Rehearse database restores each month and time them
- Trim the cloud bill by a fifth without touching response times
- Harden images, rotate secrets and patch nodes on a schedule
+ Three years of running Linux systems that people depend on
+ Fluency in at least one of Bash, Python or Go
+ Experience with Prometheus, Grafana and distributed tracing
+ Calm manner during an outage
. On-call is paid and shared among six people.
. We publish our post-mortems, including the embarrassing ones.

* Data Analyst; Business Intelligence Analyst; Reporting and Insights Analyst
: data-analyst data tech pay=80000-190000 types=full_time,contract,internship remote=sometimes
> We collect plenty of figures and understand too few of them; help us turn spreadsheets into decisions.
> The commercial team at {company} in {town} is looking for an analyst who can explain a chart to a sales manager.
- Write SQL against the warehouse and check the result against what branch staff see
- Build Power BI dashboards that people still open after the first week
- Explain why a county's sales fell, with evidence and without jargon
- Design and read A/B tests of prices and messages
- Clean survey exports and document every correction
- Present a monthly page of findings to the directors
+ Degree in statistics, economics, mathematics or actuarial science
+ Advanced spreadsheets and SQL; R or Python is a plus
+ Ability to say that the data cannot answer the question
+ Two years in a similar desk, or an outstanding internship project
. You will inherit a warehouse that is tidy and a backlog that is not.
. Curious people do well here; the best question of the month wins lunch.

* Machine Learning Engineer; Data Scientist, Credit Models; Applied Scientist (NLP)
: machine-learning-engineer data tech pay=2200-4500/month/USD types=full_time,contract remote=often
> We score thin-file customers in eleven African languages and want our models to be right for the quiet ones too.
> {company} is hiring a scientist to take models out of notebooks and keep them healthy in production.
- Train gradient boosted trees and small language models on messy transaction text
- Audit predictions for bias against regions, ages and dialects
- Serve embeddings behind an API with a latency budget of fifty milliseconds
- Track drift and retrain on evidence instead of on a calendar
- Label a Swahili and Sheng corpus together with local linguists
- Write up experiments that failed so nobody repeats them
+ Postgraduate degree in a quantitative subject or equal published work
+ Strong Python with PyTorch or scikit-learn
+ Experience of putting a model before real users
+ Understanding of the Data Protection Act and what it forbids
. You will share a GPU budget with three colleagues and negotiate kindly.
. Two days a month are set aside for reading papers.

* Penetration Tester; Offensive Security Analyst; Ethical Hacking Consultant
: penetration-tester cybersecurity tech count=3 pay=150000-350000 types=full_time,contract remote=sometimes
> Banks pay us to get past their defences before a criminal does, and to tell them how it was done.
> The red team at {company} has an opening for someone who thinks like an intruder and writes like an auditor.
- Carry out authorised intrusion exercises against web portals, mobile apps and internal networks
- Phish staff with the client's consent and measure who clicks
- Exploit misconfigured cloud storage and prove the impact without touching customer records
- Report each vulnerability with its severity, evidence and remedy
- Retest after the patch and sign the closure letter
- Build attack tooling and share it with the blue team
+ OSCP, CEH or a convincing record of bug bounties
+ Good command of Burp Suite, Nmap, Metasploit and scripting
+ Certificate of good conduct and willingness to be vetted
+ Discretion that survives a good story
. Every engagement starts with a signed scope letter; nobody works without one.
. Recent assignments include a hospital group, two insurers and a county revenue portal.

* ICT Support Technician; IT Helpdesk Officer; ICT Officer; IT Support Intern
: ict-support ict office pay=30000-65000 types=full_time,internship,contract
> Somebody has to know why the printer on the second floor hates Mondays.
> {company} in {town} needs a patient technician to keep desks, phones and Wi-Fi working for eighty staff.
- Answer tickets within the hour and close them within the day
- Image laptops, install office software and recover lost passwords
- Crimp cables, mount access points and label the patch panel
- Back up shared folders and test that a file really comes back
- Train new staff to recognise scam e-mails
- Keep the register of equipment, licences and warranties
+ Diploma in information technology or computer science
+ Comfort with Windows, Google Workspace and small routers
+ Good humour on the phone
+ A+ or CCNA is an advantage
. The server room is cool; the queue outside it sometimes is not.
. We replaced all spinning disks last year, so your evenings are safe.

* Product Manager, Merchant Payments; Fintech Product Owner; Product Lead (Savings)
: product-manager fintech fintech pay=220000-480000 types=full_time remote=sometimes
> Kiosk owners told us that our till is slow to settle; you will decide what we build about it.
> {company} wants a product manager who has stood behind a counter and counted float.
- Interview traders every week and turn what they say into a short, ranked roadmap
- Write one-page proposals with the number that should move
- Negotiate launch terms with banks and the telecom aggregators
- Prepare regulator notices together with the legal desk
- Watch activation, churn and failed settlements each morning
- Stop features that did not earn their keep
+ Three years in product, ideally in payments, lending or insurance
+ Experience of working directly with engineers
+ Understanding of till numbers, paybill and settlement cycles
+ Talent for saying no with a reason
. We serve 61,000 small merchants from Busia to Lamu.
. Decisions are written down and anybody may comment for two days.

* AML Compliance Officer; Fraud and Risk Analyst; Transaction Monitoring Analyst
: aml-compliance fintech fintech pay=90000-200000 types=full_time,contract
> Strange money leaves patterns, and we want someone who cannot help seeing them.
> The risk desk at {company} in {town} is recruiting an officer to watch transfers and file reports on time.
- Investigate alerts on structuring, mule accounts and SIM swaps
- Submit suspicious transaction reports to the Financial Reporting Centre
- Screen new customers against sanctions and politically exposed person lists
- Tune the rules so that analysts chase crooks instead of grandmothers
- Train agents on identity checks and red flags
- Answer the regulator's questions with documents at hand
+ Degree in law, finance, criminology or statistics
+ CAMS certificate or progress towards it
+ Working knowledge of POCAMLA and central bank guidelines
+ Integrity that references will confirm
. The desk covers two shifts, seven to three and two to ten.
. You will report to the board committee, not to sales.

* Mobile Money Agent; Mobile Money Shop Attendant; Till Operator, Agency Banking
: mobile-money-agent mobile-money kiosk pay=14000-24000 types=full_time,part_time,temporary
> Attendant wanted for a busy mobile money shop next to the stage in {town}, honest and quick with figures.
> {company} is opening a new outlet and needs somebody to serve deposits and withdrawals over the counter.
- Serve customers who deposit, withdraw and pay bills, and check their IDs each time
- Balance cash and e-float at opening, midday and closing
- Write every transaction in the book before handing over notes
- Sell airtime, SIM cards and phone covers
- Refuse suspicious reversals and call the owner at once
- Keep the shop clean and lock up at eight in the evening
+ KCSE certificate with at least a D plus in mathematics
+ Certificate of good conduct issued this year
+ Guarantor who lives in the same county
+ Friendly manner with wazee and students alike
. Commission is paid on top of the wage when monthly volume passes the target.
. Float theft is taken from nobody's salary without an inquiry.

* Territory Sales Representative, Agent Network; Field Sales Agent; Agent Network Supervisor
: agent-network-rep sales fintech pay=28000-55000 types=full_time,contract
> You will spend your days on the road visiting kiosks and your evenings planning tomorrow's route.
> {company} is growing its agency network around {town} and needs energetic people on the ground.
- Recruit shopkeepers as agents and see them through registration
- Visit fifteen outlets a day and solve complaints on the spot
- Rebalance float between outlets before it runs dry
- Put up branded posters, boards and price lists
- Report competitor offers with a photograph and a location
- Coach weak outlets until they reach fifty transactions daily
+ Diploma in sales, marketing or business
+ Motorcycle licence; we supply the bike and fuel
+ Knowledge of the villages and markets in the territory
+ Smartphone and a thick skin
. Targets are weekly and commission is paid every second Friday.
. Three of our five regional managers began in this post.

* Software Engineering Intern; Graduate Trainee, Technology; Data Science Attachee
: tech-intern internships tech pay=20000-40000 types=internship remote=sometimes
> A six-month paid internship for final-year students and recent graduates who have already built something.
> {company} takes four interns each term in {town}; you get a mentor, a desk and real tickets.
- Fix small bugs in your first week and ship one feature by the sixth
- Sit in on design meetings and take the notes
- Learn Git, code review and automated testing by doing them
- Rotate through support for two weeks to hear real users
- Present your project to the company on the last Friday
+ Student or graduate of computer science, mathematics or a coding bootcamp
+ Link to a repository, a game or a small website
+ Insurance cover letter from the school where it is an attachment
+ Curiosity and punctuality
. About half of our interns are offered a permanent contract.
. The stipend is paid on the 28th and lunch is provided.
"""
