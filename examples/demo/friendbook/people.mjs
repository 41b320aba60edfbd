// The people who have an account at Friendbook. It never says whether an address was proved,
// as Facebook does not: mallory simply claims alice's.

const person = (id, username, first_name, last_name, email) => ({
  id, username, first_name, last_name, name: `${first_name} ${last_name}`, email,
});

export const PEOPLE = [
  person('100000000000001', 'alice', 'Alice', 'Ahlgren', 'alice@globex.example'),
  person('100000000000002', 'bob', 'Bob', 'Baptiste', undefined),
  person('100000000000003', 'carol', 'Carol', 'Castellanos', 'carol@friendbook.example'),
  person('100000000000004', 'mallory', 'Mallory', 'Marsh', 'alice@globex.example'),
];
