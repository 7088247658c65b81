// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// registry holds the apps and users.
type registry struct {
	mu    sync.RWMutex
	apps  map[registryKey]App
	users map[registryKey]User
	// applicationKeys are the users of Oracle's admin by application key.
	applicationKeys map[string]User
}

func newRegistry() *registry {
	return &registry{apps: map[registryKey]App{}, users: map[registryKey]User{}, applicationKeys: map[string]User{}}
}

// check refuses apps and users of no vendor, and grants to an app that is unknown. The caller
// holds the lock.
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
	for _, grant := range seed.Grants {
		vendor("grant "+grant.ID, grant.Vendor)
		key := registryKey{grant.Vendor, grant.App}
		_, registered := r.apps[key]
		if grant.Vendor != OracleStore && grant.Vendor != OracleAdmin && !registered && !known[key] {
			problems = append(problems, fmt.Errorf("grant %s: app %q is not registered with %s", grant.ID, grant.App, grant.Vendor))
		}
	}
	return errors.Join(problems...)
}

// add registers apps and users. The caller holds the lock.
func (r *registry) add(apps []App, users []User) {
	for _, app := range apps {
		app.Authentication = cmp.Or(app.Authentication, Basic)
		r.apps[registryKey{app.Vendor, app.Key}] = app
	}
	for _, user := range users {
		key := registryKey{user.Vendor, user.Name}
		if user.Vendor == OracleAdmin {
			delete(r.applicationKeys, r.users[key].Password)
			r.applicationKeys[user.Password] = user
		}
		r.users[key] = user
	}
}

func (r *registry) app(vendor Vendor, key string) (App, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	app, found := r.apps[registryKey{vendor, key}]
	return app, found
}

func (r *registry) user(vendor Vendor, name string) (User, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	user, found := r.users[registryKey{vendor, name}]
	return user, found
}

// applicationKey finds the user of an application key.
func (r *registry) applicationKey(key string) (User, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	user, found := r.applicationKeys[key]
	return user, found && key != ""
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
