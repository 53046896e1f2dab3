"""Phrases for sample postings in health, teaching and social work; `occupations` documents the notation."""

MATERIAL = """
* Paediatric Nurse; Registered Nurse, Paediatric Ward; Nursing Officer (Paediatrics)
: paediatric-nurse nursing hospital count=4 pay=48000-90000 types=full_time,contract
> Our twenty-cot paediatric ward in {town} needs a calm registered nurse for day and night shifts.
> {company} invites applications from nurses with a heart for infants and toddlers who are admitted to the wards.
- Monitor fluids, temperature and breathing of small patients with pneumonia, malaria or diarrhoea
- Give weight-based doses and have a colleague check every calculation
- Place cannulas in tiny veins and comfort the one who is crying
- Teach parents to prepare oral rehydration salts and to spot danger signs at home
- Admit malnourished infants to the feeding programme and chart their growth
- Resuscitate newborns and assist the paediatrician during ward rounds
+ KRCHN or BScN with a current licence from the Nursing Council of Kenya
+ Higher diploma in paediatric nursing is a strong advantage
+ ETAT plus training and a valid BLS certificate
+ Gentle way with frightened families
. The ward is painted with giraffes and the playroom is in use from seven in the morning.
. One nurse cares for at most six cots, day or night.

* Midwife; Registered Midwife, Labour Ward; Nurse Midwife (Maternity)
: midwife nursing hospital count=4 pay=45000-85000 types=full_time,contract
> About two hundred deliveries a month pass through our maternity unit, and we are short of two pairs of hands.
> {company} in {town} is recruiting midwives for its labour ward and postnatal rooms.
- Follow women through labour with the partograph and call the obstetrician in time
- Conduct normal deliveries and prepare for emergency caesarean section
- Manage postpartum haemorrhage by protocol until the bleeding stops
- Run the antenatal clinic on Tuesdays and Fridays
- Support breastfeeding within the first hour
- Keep the maternity register and notify every perinatal death
+ Diploma in midwifery or KRCHN with labour ward experience
+ EmONC training within the past three years
+ Licence in good standing
+ Respectful conduct towards every woman, whatever her age or means
. There are four delivery rooms, one theatre and a kangaroo care corner.
. Birth companions are welcome here, and we ask staff to welcome them.

* Clinical Officer; Registered Clinical Officer (Outpatient); Clinical Officer, HIV and TB Clinic
: clinical-officer health hospital pay=45000-80000 types=full_time,contract,temporary
> A clinical officer is needed for a busy outpatient department that sees a hundred and forty adults on market days.
> {company}, a level 3 facility in {town}, has a vacancy in general consultation.
- Take histories, examine and treat common illness in adults
- Start and review antiretroviral and tuberculosis treatment by the national guideline
- Stitch wounds, drain abscesses and set plaster
- Refer surgical cases with a proper letter and a phone call ahead
- Enter every visit in the electronic medical record
- Take part in outreach to the islands once a month
+ Diploma in clinical medicine and surgery
+ Registration with the Clinical Officers Council
+ Two years after internship
+ Ability to work nights and one weekend in three
. The laboratory answers malaria slides within forty minutes.
. Housing inside the compound can be arranged at a low rent.

* Medical Laboratory Technologist; Lab Technician; Laboratory Quality Officer
: lab-technologist health hospital pay=38000-70000 types=full_time,contract,internship
> Blood, sputum and stool do not wait: we need a technologist who works neatly under pressure.
> The laboratory of {company} is preparing for ISO 15189 accreditation and adds one bench in {town}.
- Run full blood counts, chemistry and GeneXpert tests
- Read malaria films and grade them honestly
- Screen donated blood and keep the cold chain
- Calibrate analysers and log every control out of range
- Phone critical results to the ward within ten minutes
+ Diploma or degree in medical laboratory sciences
+ KMLTTB registration and private practice licence
+ Experience with haematology analysers
+ Careful handwriting and a careful mind
. Reagents are ordered quarterly, so planning ahead is part of the post.
. External quality scores have been above 95 % for two years.

* Pharmaceutical Technologist; Pharmacist; Dispensing Pharmacist, Retail Chemist
: pharmacist pharmacy pharmacy pay=40000-110000 types=full_time,part_time
> Our chemist shop near the bus park in {town} needs a licensed person behind the counter.
> {company} is expanding its pharmacies and is after people who explain medicine in plain words.
- Dispense prescriptions and check doses, allergies and interactions
- Counsel customers with diabetes and high blood pressure about their tablets
- Refuse antibiotics without a prescription, kindly and always
- Order stock, rotate expiry dates and count controlled drugs weekly
- Process insurance claims and follow up rejected ones
- Measure blood sugar and pressure for walk-in customers
+ Diploma or degree in pharmacy with enrolment at the Pharmacy and Poisons Board
+ Sharp eye for forged prescriptions
+ Computer literacy for the point of sale
+ Good Swahili and one local language
. Opening hours are eight to nine, in two shifts.
. Profit shares are paid to the shop team each January.

* Physiotherapist; Rehabilitation Therapist; Sports Physiotherapist
: physiotherapist health hospital pay=55000-110000 types=full_time,part_time,contract
> Runners, masons and grandmothers all end up on our mats with a sore back.
> {company} is opening a rehabilitation wing in {town} and seeks a therapist to lead it.
- Assess movement, strength and pain and agree a goal with the patient
- Treat stroke survivors at the bedside and later in the gym
- Guide athletes back to training after hamstring and knee injuries
- Fit walking aids and teach caregivers safe lifting
- Write exercise sheets that people can follow without equipment
+ Degree or diploma in physiotherapy
+ Registration with the Physiotherapy Council of Kenya
+ Training in neurological or sports rehabilitation
+ Strong hands and a stronger sense of humour
. The gym opens on to a garden track where the first steps are usually taken.
. Home visits are paid by the kilometre.

* Community Health Promoter; Community Health Volunteer; Outreach Health Assistant
: community-health health ngo pay=800-1200/day types=part_time,volunteer,temporary
> Volunteers are called to visit a hundred households each in the villages around {town}.
> {company} trains local people to bring basic health messages and referrals to the doorstep.
- Visit homes every month and update the household register on a phone
- Refer expectant women, coughers and people with fever to the dispensary
- Hand out mosquito nets, water treatment tablets and deworming tablets
- Hold baraza talks on hygiene, nutrition and family planning
- Follow up those who stopped taking their TB medicine
+ Resident of the village, chosen at a public meeting
+ Ability to read and write in Swahili
+ Good standing and a trusted name
+ Willingness to walk long distances
. A bag, a phone and a bicycle are provided after training.
. Supervision meetings are on the last Wednesday of the month, with lunch.

* Secondary School Teacher, Mathematics and Physics; Maths Teacher; TSC Registered Teacher, Sciences (BOM)
: maths-teacher teaching school pay=30000-75000 types=full_time,contract,temporary
> A boarding school near {town} has a vacancy for a teacher who makes algebra less frightening.
> {company} seeks a teacher of mathematics and physics for Forms 3 and 4 from January.
- Teach twenty-four lessons a week and mark the books you set
- Prepare candidates for KCSE practicals with the apparatus we actually have
- Coach the mathematics contest team on Saturday mornings
- Serve as class teacher and speak with parents on visiting day
- Keep schemes of work, records and lesson notes up to date
- Take a turn of duty at prep time and in the dormitory
+ Bachelor of Education or a degree with PGDE
+ TSC number
+ Mean grade improvement that you can show
+ Love of the subject that pupils will notice
. The last two classes each raised the mean by nearly a point.
. Staff houses are available inside the compound.

* Early Years Teacher (PP1 and PP2); ECDE Teacher; Kindergarten Teacher
: ecde-teacher teaching school pay=16000-38000 types=full_time,part_time,contract
> Thirty small chairs, one piano and a vegetable patch are waiting for a cheerful class teacher.
> {company} in {town} needs an ECDE teacher who sings, kneels and listens.
- Plan play-based lessons in the competency-based curriculum
- Teach letters, numbers and rhymes in English and Swahili
- Observe each learner and write a short portfolio every term
- Supervise porridge, nap time and the sandpit
- Talk with parents at the gate about progress and worries
+ Diploma or certificate in early childhood education
+ First aid certificate
+ Good singing voice is welcome, a warm one is required
+ Clean safeguarding record
. Classes never exceed twenty-five pupils.
. The term ends with a small concert that the teachers rehearse together.

* TVET Instructor, Welding and Fabrication; Trainer, Electrical Installation; Polytechnic Instructor (Motor Vehicle)
: tvet-instructor vocational-training technical pay=32000-65000 types=full_time,contract
> Our workshop has twelve new welding booths and not enough people to teach in them.
> {company} is hiring a trainer who learned the trade with a mask on before learning to teach it.
- Demonstrate arc, MIG and gas techniques and correct posture and grip
- Set practical assessments for the national examiner
- Place trainees with jua kali masters and garages for attachment
- Enforce goggles, boots and fire drills without exception
- Maintain grinders, lathes and the tool store
+ Diploma in mechanical, electrical or automotive engineering
+ Pedagogy certificate for trainers and a TVETA licence
+ Five years in the trade
+ Ability to teach people who left school early
. Eighty in a hundred trainees find paid work within half a year.
. Evening classes for women attract an extra allowance.

* Lecturer in Economics; Assistant Lecturer, Statistics; Tutorial Fellow, Development Studies
: lecturer higher-education university pay=1200000-2400000/year types=full_time,part_time,contract
> The school of business invites scholars to teach large first-year classes and small doctoral seminars.
> {company}, a chartered university with a campus in {town}, has one teaching post from the new semester.
- Lecture three units a semester and set fair examinations
- Supervise master's theses and keep students to their timetable
- Publish in peer-reviewed journals and apply for research grants
- Advise undergraduates on course choices and attachments
- Serve on the curriculum and ethics committees
+ PhD, or a master's degree with registered doctoral work
+ At least two refereed publications
+ Teaching evaluation from a former institution
+ Command of Stata, R or EViews
. Research time is protected on Wednesdays.
. The library subscribes to the main journal collections and the Wi-Fi reaches the lawns.

* Kenyan Sign Language Interpreter; KSL Interpreter (Lectures); Sign Language Interpreter, Inclusive Education
: sign-interpreter disability school count=3 pay=35000-70000 types=full_time,part_time,contract
> {company} needs a KSL interpreter for lectures, assemblies and hospital visits in {town}.
> Two interpreters will work in turns of twenty minutes in lectures, at assemblies and on graduation day.
- Interpret between spoken English or Swahili and KSL in class and at meetings
- Prepare vocabulary with the speaker beforehand, especially names and technical terms
- Accompany clients with hearing loss to clinics, courts and banks
- Coach colleagues in basic signing so that no one is left out at tea
- Advise the camera crew on lighting, framing and the size of the inset window
+ Certificate in KSL interpreting from a recognised college
+ Membership of the national interpreters association
+ Strict confidentiality
+ Facial expression that carries tone as well as meaning
. Interpreters are never booked alone for more than an hour.
. A hearing-impaired colleague chairs the interview panel.

* Social Worker; Child Protection Officer; Case Worker, Refugee Programme
: social-worker social-work ngo pay=50000-110000 types=full_time,contract,volunteer
> Families arrive at the transit centre tired and with little; you will be the first to sit down with them.
> {company} needs a case worker in {town} to protect survivors of violence and separated minors.
- Open, follow and close cases with a plan that the client has agreed to
- Trace relatives across camps and borders for unaccompanied minors
- Refer survivors to legal aid, shelter and counselling on the same day
- Train foster families and visit them unannounced
- Store files under lock and share them only on a need-to-know basis
- Speak at community meetings against early marriage
+ Degree in social work, psychology or sociology
+ Knowledge of the Children Act and of refugee law
+ Somali, Dinka or Turkana as a working language
+ Emotional steadiness and supervision that you make use of
. A counsellor supports the team every fortnight.
. Rest leave is granted after every eight weeks in the field.
"""
