.mode csv
.import /scripts/people.csv people
.headers on
.mode column
SELECT city, count(*) AS n, avg(age) AS mean, group_concat(name, ' + ') AS names FROM people GROUP BY city ORDER BY n DESC, city;
.mode insert copies
SELECT *, hex(name), length(name), printf('%.3f', age / 7.0) FROM people WHERE name LIKE '%a%' ORDER BY name;
.mode html
SELECT name FROM people WHERE age > 40 ORDER BY age;
.mode quote
SELECT x'00ff', NULL, 'it''s', 1e300 * 10, 9223372036854775807, -0.0;
EXPLAIN QUERY PLAN SELECT * FROM people p JOIN people q ON p.city = q.city;
SELECT nothing FROM people;
