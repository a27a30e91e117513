-- Starter content, applied after schema.sql and every migration, and again whenever it changes. Rows are matched
-- by their natural key: categories belong to this file, so a changed name here wins; businesses belong to their
-- editors once they exist.

INSERT INTO categories (slug, name) VALUES
  ('restaurants', 'Restaurants & Cafes'),
  ('lodging', 'Cabins & Lodging'),
  ('outdoors', 'Outdoors & Guides'),
  ('auto', 'Auto & Tractor Repair'),
  ('feed-and-farm', 'Feed & Farm Supply'),
  ('health', 'Health & Pharmacy'),
  ('home-services', 'Home Services')
ON CONFLICT (slug) DO UPDATE SET name = excluded.name;

INSERT INTO businesses (slug, name, category_id, description, street, city, zip, phone, website)
SELECT v.column1, v.column2, c.id, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9
FROM (VALUES
  ('pine-ridge-diner', 'Pine Ridge Diner', 'restaurants',
   'Chicken fried steak, cobbler and coffee from five in the morning.', '112 Dewey Ave', 'Poteau', '74953', '918-555-0112', NULL),
  ('talimena-coffee', 'Talimena Coffee Roasters', 'restaurants',
   'Small-batch roaster at the western end of the Talimena Scenic Drive.', '408 E Main St', 'Talihina', '74571', '918-555-0148', 'https://talimenacoffee.example'),
  ('choctaw-catfish-house', 'Choctaw Catfish House', 'restaurants',
   'Pond-raised catfish, hushpuppies and brown beans; live music on Fridays.', '61 Jackson St', 'Hugo', '74743', '580-555-0161', NULL),
  ('cedar-lake-cabins', 'Cedar Lake Cabins', 'lodging',
   'Eight log cabins beside the equestrian trails of the Ouachita National Forest.', '19110 Cedar Lake Rd', 'Heavener', '74937', '918-555-0191', 'https://cedarlakecabins.example'),
  ('broken-bow-treehouses', 'Broken Bow Treehouses', 'lodging',
   'Treehouse stays for two under the pines, ten minutes from Beavers Bend.', '88 Stevens Gap Rd', 'Broken Bow', '74728', '580-555-0188', 'https://bbtreehouses.example'),
  ('kiamichi-river-outfitters', 'Kiamichi River Outfitters', 'outdoors',
   'Canoe and kayak rental with shuttle on the Kiamichi River, March to October.', '14 Ferry Landing', 'Clayton', '74536', '918-555-0114', 'https://kiamichiriver.example'),
  ('mountain-fork-guides', 'Mountain Fork Fly Guides', 'outdoors',
   'Guided trout fishing on the Lower Mountain Fork, waders included.', '2 Spillway Creek', 'Hochatown', '74728', '580-555-0102', NULL),
  ('wister-lake-marine', 'Wister Lake Marine & Tackle', 'outdoors',
   'Live bait, boat fuel and outboard service at Wister Lake State Park.', '25567 US-270', 'Wister', '74966', '918-555-0125', NULL),
  ('leflore-tractor', 'LeFlore Tractor & Diesel', 'auto',
   'Field service for tractors, balers and log trucks across LeFlore County.', '3301 N Broadway', 'Poteau', '74953', '918-555-0133', NULL),
  ('idabel-auto-electric', 'Idabel Auto Electric', 'auto',
   'Alternators, starters and the wiring problem nobody else can find.', '207 SE Washington', 'Idabel', '74745', '580-555-0107', NULL),
  ('antlers-feed', 'Antlers Feed & Seed', 'feed-and-farm',
   'Deer corn, range cubes, fencing and chicks in the spring.', '119 N High St', 'Antlers', '74523', '580-555-0119', NULL),
  ('valliant-farm-supply', 'Valliant Farm Supply', 'feed-and-farm',
   'Fertiliser, gates and custom hay hauling since 1974.', '400 N Dalton', 'Valliant', '74764', '580-555-0140', 'https://valliantfarm.example'),
  ('wilburton-drug', 'Wilburton Drug', 'health',
   'Independent pharmacy with a soda fountain that still works.', '118 W Main St', 'Wilburton', '74578', '918-555-0118', NULL),
  ('winding-stair-home', 'Winding Stair Home & Roof', 'home-services',
   'Metal roofs, storm repair and honest estimates in three counties.', '77 Choctaw Blvd', 'Heavener', '74937', '918-555-0177', 'https://windingstairhome.example')
) AS v
JOIN categories AS c ON c.slug = v.column3
WHERE true -- keeps SQLite from reading ON CONFLICT as a join's ON
ON CONFLICT (slug) DO NOTHING;

INSERT INTO facebook_posts (id, business_id, message, due_at)
SELECT 1, id, 'Meet your neighbours: Kiamichi River Outfitters puts its canoes back in the water this week.', '2025-03-01T15:00:00Z'
FROM businesses WHERE slug = 'kiamichi-river-outfitters'
ON CONFLICT (id) DO NOTHING;

UPDATE categories SET business_count =
  (SELECT count(*) FROM businesses WHERE businesses.category_id = categories.id);
