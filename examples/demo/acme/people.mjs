// The people who work at Acme. `uid` is opaque and never changes; it is what apps get as their name.

const person = (uid, username, givenName, surname, title, groups) => ({
  uid,
  username,
  givenName,
  surname,
  displayName: `${givenName} ${surname}`,
  title,
  mail: `${username}@acme.example`,
  groups,
});

export const PEOPLE = [
  person('ac-6f3a1c', 'alice', 'Alice', 'Ahlgren', 'Rocket engineer', ['Engineering', 'Everyone']),
  person('ac-90be27', 'bob', 'Bob', 'Baptiste', 'Anvil designer', ['Engineering', 'Everyone']),
  person('ac-2d47f8', 'carol', 'Carol', 'Castellanos', 'Head of sales', ['Sales', 'Everyone']),
  person('ac-b815e0', 'mallory', 'Mallory', 'Marsh', 'Contractor', ['Everyone']),
];

/**
 * What is said of a person, by the names that directories give such attributes (X.500/LDAP attribute profile, SAML
 * Profiles section 8.2): an object identifier, and a friendly name for people who read it.
 */
export const attributesOf = (person) => [
  { name: 'urn:oid:0.9.2342.19200300.100.1.1', friendlyName: 'uid', values: [person.username] },
  { name: 'urn:oid:2.16.840.1.113730.3.1.241', friendlyName: 'displayName', values: [person.displayName] },
  { name: 'urn:oid:2.5.4.42', friendlyName: 'givenName', values: [person.givenName] },
  { name: 'urn:oid:2.5.4.4', friendlyName: 'sn', values: [person.surname] },
  { name: 'urn:oid:0.9.2342.19200300.100.1.3', friendlyName: 'mail', values: [person.mail] },
  { name: 'urn:oid:2.5.4.12', friendlyName: 'title', values: [person.title] },
  { name: 'urn:oid:1.3.6.1.4.1.5923.1.5.1.1', friendlyName: 'isMemberOf', values: person.groups },
];
