// The people who have an account at Globex. `sub` is opaque and never changes.

const person = (sub, username, [given_name, middle_name, family_name], groups, more) => ({
  sub,
  username,
  given_name,
  middle_name,
  family_name,
  name: `${given_name} ${family_name}`,
  email: `${username}@globex.example`,
  groups,
  ...more,
});

const address = (street_address, postal_code, locality, region, country) => ({
  formatted: [street_address, `${postal_code} ${locality}`, country].join('\n'),
  street_address,
  postal_code,
  locality,
  region,
  country,
});

export const PEOPLE = [
  person('gx-1001', 'alice', ['Alice', 'Astrid', 'Ahlgren'], ['engineering'], {
    nickname: 'Ali',
    gender: 'female',
    birthdate: '1986-04-12',
    zoneinfo: 'Europe/Stockholm',
    locale: 'sv-SE',
    phone_number: '+46 8 5550 1001',
    address: address('Storgatan 1', '111 23', 'Stockholm', 'Stockholms län', 'Sweden'),
  }),
  person('gx-1002', 'bob', ['Bob', 'Benoît', 'Baptiste'], ['engineering'], {
    nickname: 'Bobby',
    gender: 'male',
    birthdate: '0000-11-03',
    zoneinfo: 'Europe/Paris',
    locale: 'fr-FR',
    phone_number: '+33 1 5555 1002',
    address: address('2 rue des Lilas', '75019', 'Paris', 'Île-de-France', 'France'),
  }),
  person('gx-1003', 'carol', ['Carol', 'Camila', 'Castellanos'], ['sales'], {
    nickname: 'Caro',
    gender: 'female',
    birthdate: '1991',
    zoneinfo: 'America/Mexico_City',
    locale: 'es-MX',
    phone_number: '+52 55 5555 1003',
    address: address('Calle Tres 3', '06000', 'Ciudad de México', 'CDMX', 'Mexico'),
  }),
  person('gx-1004', 'mallory', ['Mallory', 'Maude', 'Marsh'], [], {
    nickname: 'Mal',
    gender: 'unspecified',
    birthdate: '1979-01-31',
    zoneinfo: 'Europe/London',
    locale: 'en-GB',
    phone_number: '+44 20 5555 1004',
    address: address('4 Marsh Lane', 'SE1 4AA', 'London', 'Greater London', 'United Kingdom'),
  }),
];

/** The claims that the granted scopes ask for; Globex has proved every e-mail address itself. */
export function claimsFor(person, scopes) {
  const claims = {};
  if (scopes.includes('profile')) {
    Object.assign(claims, {
      name: person.name,
      given_name: person.given_name,
      middle_name: person.middle_name,
      family_name: person.family_name,
      nickname: person.nickname,
      preferred_username: person.username,
      profile: `https://people.globex.example/${person.username}`,
      picture: `https://people.globex.example/${person.username}.png`,
      website: `https://${person.username}.globex.example/`,
      gender: person.gender,
      birthdate: person.birthdate,
      zoneinfo: person.zoneinfo,
      locale: person.locale,
    });
  }
  if (scopes.includes('email')) {
    Object.assign(claims, { email: person.email, email_verified: true });
  }
  if (scopes.includes('address')) claims.address = person.address;
  // Globex believes what it was told; whether that is proof is for others to say.
  if (scopes.includes('phone')) {
    Object.assign(claims, { phone_number: person.phone_number, phone_number_verified: true });
  }
  if (scopes.includes('groups')) claims.groups = person.groups;
  return claims;
}
