// The people who have an account at Globex. `sub` is opaque and never changes.

const person = (sub, username, given_name, family_name, groups) => ({
  sub,
  username,
  given_name,
  family_name,
  name: `${given_name} ${family_name}`,
  email: `${username}@globex.example`,
  groups,
});

export const PEOPLE = [
  person('gx-1001', 'alice', 'Alice', 'Ahlgren', ['engineering']),
  person('gx-1002', 'bob', 'Bob', 'Baptiste', ['engineering']),
  person('gx-1003', 'carol', 'Carol', 'Castellanos', ['sales']),
  person('gx-1004', 'mallory', 'Mallory', 'Marsh', []),
];

/** The claims that the granted scopes ask for; Globex has proved every address itself. */
export function claimsFor(person, scopes) {
  const claims = {};
  if (scopes.includes('profile')) {
    Object.assign(claims, {
      name: person.name,
      given_name: person.given_name,
      family_name: person.family_name,
      preferred_username: person.username,
    });
  }
  if (scopes.includes('email')) {
    Object.assign(claims, { email: person.email, email_verified: true });
  }
  if (scopes.includes('groups')) claims.groups = person.groups;
  return claims;
}
