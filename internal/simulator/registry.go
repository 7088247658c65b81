// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Vendor names one of the simulated providers, as the built-in does.
type Vendor string

// The simulated providers.
const (
	MCS         Vendor = "mcs"
	Xiaomi      Vendor = "xiaomi"
	OracleStore Vendor = "oracle-commerce-store"
	OracleAdmin Vendor = "oracle-commerce-admin"
	OAuth       Vendor = "oauth2" // client credentials too
)

var vendors = []Vendor{MCS, Xiaomi, OracleStore, OracleAdmin, OAuth}

// Authentication is how an app of the OAuth server proves who it is; no other
// way is accepted from it.
type Authentication string

// The ways of RFC 6749 section 2.3.1, and that of a public client.
const (
	Basic Authentication = "basic" // form-encoded values; the default
	Post  Authentication = "post"
	None  Authentication = "none"
)

// App is a registered app, or client.
type App struct {
	Vendor Vendor `json:"vendor"`
	Key    string `json:"key"`
	Secret string `json:"secret,omitempty"`
	// RedirectURI that Xiaomi compares, byte for byte.
	RedirectURI string `json:"redirectURI,omitempty"`
	// Authentication and GrantTypes are OAuth's. GrantTypes defaults to both
	// refresh_token and client_credentials; a public client has only the first.
	Authentication Authentication `json:"authentication,omitempty"`
	GrantTypes     []string       `json:"grantTypes,omitempty"`
	// Scope that client credentials may ask for, and get where they ask for
	// none.
	Scope string `json:"scope,omitempty"`
}

// User may log in: with email (the name) and password at MCS, username and
// password at Oracle's store, an application key (the password) at its admin.
type User struct {
	Vendor   Vendor `json:"vendor"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Grant is what a user once allowed an app: a family of refresh tokens.
type Grant struct {
	// ID defaults to a serial number.
	ID     string `json:"id"`
	Vendor Vendor `json:"vendor"`
	// App's key; empty at Oracle Commerce, which knows no apps.
	App string `json:"app,omitempty"`
	// User's name, where the grant comes from a login.
	User string `json:"user,omitempty"`
	// RefreshToken is the first one. Default: a new one is made.
	RefreshToken string `json:"refreshToken,omitempty"`
	// RefreshTokenLifetime of the first token. Default: the vendor's.
	RefreshTokenLifetime Duration `json:"refreshTokenLifetime,omitempty"`
	Scope                string   `json:"scope,omitempty"`
	// Rotation of this grant, in place of the vendor's; a Mode or
	// NewRefreshToken that is left out is the vendor's.
	Rotation *Rotation `json:"rotation,omitempty"`
}

// Seed is everything that a provider knows at first.
type Seed struct {
	Apps   []App   `json:"apps,omitempty"`
	Users  []User  `json:"users,omitempty"`
	Grants []Grant `json:"grants,omitempty"`
}

type registryKey struct {
	vendor Vendor
	name   string
}

// registry holds the apps, users and grants.
type registry struct {
	mu    sync.RWMutex
	apps  map[registryKey]App
	users map[registryKey]User
	// applicationKeys are the users of Oracle's admin by application key.
	applicationKeys map[string]User
	families        map[string]*family
	logins          map[registryKey][]*family // by user, or by app for client credentials
	serial          int
}

func newRegistry() *registry {
	return &registry{
		apps:            map[registryKey]App{},
		users:           map[registryKey]User{},
		applicationKeys: map[string]User{},
		families:        map[string]*family{},
		logins:          map[registryKey][]*family{},
	}
}

// Add registers apps, users and grants, and returns the grants with what was
// filled in. An app or user that exists is replaced; a grant that exists, or
// one of an unknown app, is an error, and then no grant is added.
func (s *Simulator) Add(seed Seed) ([]Grant, error) {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	if err := s.registry.check(seed); err != nil {
		return nil, err
	}
	for _, app := range seed.Apps {
		app.Authentication = cmp.Or(app.Authentication, Basic)
		s.registry.apps[registryKey{app.Vendor, app.Key}] = app
	}
	for _, user := range seed.Users {
		key := registryKey{user.Vendor, user.Name}
		if user.Vendor == OracleAdmin {
			delete(s.registry.applicationKeys, s.registry.users[key].Password)
			s.registry.applicationKeys[user.Password] = user
		}
		s.registry.users[key] = user
	}
	options := s.options.Load()
	grants := make([]Grant, 0, len(seed.Grants))
	for _, grant := range seed.Grants {
		f := s.addFamily(grant)
		t := f.newRefreshToken(options, f.grant.RefreshToken, options.Clock(),
			cmp.Or(grant.RefreshTokenLifetime, options.refreshLifetime(grant.Vendor)))
		t.access = grant.Vendor == OracleStore || grant.Vendor == OracleAdmin
		f.grant.RefreshToken = t.value // before anybody can find the token
		f.keep(s, options, t)
		grants = append(grants, f.grant)
	}
	return grants, nil
}

// check refuses a seed as a whole. The caller holds the lock.
func (r *registry) check(seed Seed) error {
	var problems []error
	known := map[registryKey]bool{}
	vendor := func(what string, v Vendor) {
		if !slices.Contains(vendors, v) {
			problems = append(problems, fmt.Errorf("%s: vendor %q is none of %v", what, v, vendors))
		}
	}
	for _, app := range seed.Apps {
		vendor("app "+app.Key, app.Vendor)
		known[registryKey{app.Vendor, app.Key}] = true
	}
	for _, user := range seed.Users {
		vendor("user "+user.Name, user.Vendor)
	}
	ids := map[string]bool{}
	for _, grant := range seed.Grants {
		vendor("grant "+grant.ID, grant.Vendor)
		if grant.ID != "" && (r.families[grant.ID] != nil || ids[grant.ID]) {
			problems = append(problems, fmt.Errorf("grant %s exists: choose another id", grant.ID))
		}
		ids[grant.ID] = true
		key := registryKey{grant.Vendor, grant.App}
		_, registered := r.apps[key]
		if grant.Vendor != OracleStore && grant.Vendor != OracleAdmin && !registered && !known[key] {
			problems = append(problems, fmt.Errorf("grant %s: app %q is not registered with %s", grant.ID, grant.App, grant.Vendor))
		}
	}
	return errors.Join(problems...)
}

// addFamily registers a family without tokens. The caller holds the registry's
// lock.
func (s *Simulator) addFamily(grant Grant) *family {
	for grant.ID == "" {
		s.registry.serial++
		if id := strconv.Itoa(110000 + s.registry.serial); s.registry.families[id] == nil {
			grant.ID = id
		}
	}
	f := &family{grant: grant}
	s.registry.families[grant.ID] = f
	return f
}

// login begins a grant for a user or, where user is empty, finds the one that
// holds an app's client credentials. Grants of earlier logins that are over are
// forgotten.
func (s *Simulator) login(options *Options, grant Grant, terms terms) issue {
	now := options.Clock()
	f := s.loginFamily(grant, now)
	f.mu.Lock()
	defer f.mu.Unlock()
	if grant.User == "" { // client credentials bring no refresh token
		f.refreshes++
		f.lastRefresh = now
		access := f.newAccessToken(s, options, now, terms)
		s.tokens.add(access)
		return issue{grant: f.grant, access: access.value}
	}
	return s.issue(options, f, nil, now, terms)
}

func (s *Simulator) loginFamily(grant Grant, now time.Time) *family {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	key := registryKey{grant.Vendor, "user " + grant.User}
	if grant.User == "" {
		key.name = "app " + grant.App
		if earlier := s.registry.logins[key]; len(earlier) > 0 {
			return earlier[0]
		}
	}
	kept := s.registry.logins[key]
	// Looked at only now and then, so that a login stays cheap.
	if len(kept) >= 16 && len(kept)&(len(kept)-1) == 0 {
		kept = slices.DeleteFunc(kept, func(f *family) bool {
			over := f.over(now)
			if over {
				s.forget(f)
			}
			return over
		})
	}
	f := s.addFamily(grant)
	s.registry.logins[key] = append(kept, f)
	return f
}

// forget drops a family and its tokens. The caller holds the registry's lock.
func (s *Simulator) forget(f *family) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range append(slices.Clone(f.refreshTokens), f.accessTokens...) {
		s.tokens.remove(t)
	}
	delete(s.registry.families, f.grant.ID)
}

func (s *Simulator) app(vendor Vendor, key string) (App, bool) {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	app, found := s.registry.apps[registryKey{vendor, key}]
	return app, found
}

func (s *Simulator) user(vendor Vendor, name string) (User, bool) {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	user, found := s.registry.users[registryKey{vendor, name}]
	return user, found
}

// refreshLifetime is that of a vendor's refresh tokens.
func (o *Options) refreshLifetime(vendor Vendor) Duration {
	switch vendor {
	case MCS:
		return o.MCS.UserTokenLifetime
	case Xiaomi:
		return o.Xiaomi.RefreshTokenLifetime
	case OracleStore:
		return o.Oracle.StoreLifetime
	case OracleAdmin:
		return o.Oracle.AdminLifetime
	default:
		return o.OAuth.RefreshTokenLifetime
	}
}
