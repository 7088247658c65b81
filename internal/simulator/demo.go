// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

// What the demo's providers know at first; config/samples uses the same. None of
// it is a secret: it works nowhere but in a simulator.
const (
	// DemoShopHost is where Oracle Commerce is, DemoAuthHost where the OAuth
	// server is.
	DemoShopHost = "shop.example.com"
	DemoAuthHost = "auth.example.com"

	// The app of MCS is the one whose Basic header the documentation shows.
	DemoMCSAppKey    = "AuMgS2MPK5Z6nqWhVsyV"
	DemoMCSAppSecret = "o1uBjWTzuqbaMnQzSmDp7UhR6M33NOhb5XL0b1YK"
	DemoMCSUserToken = "demo-mcs-user-token"
	DemoMCSEmail     = "mcsuser@mediatek.com"
	DemoMCSPassword  = "123456789"

	DemoXiaomiClientID     = "2882303761517000001"
	DemoXiaomiClientSecret = "demo-xiaomi-client-secret=="
	DemoXiaomiRedirectURI  = "https://shop.example.com/oauth/callback"
	DemoXiaomiRefreshToken = "demo-xiaomi-refresh-token"

	// The token of the store is the one that the documentation shows. Both live
	// a day, so that a demo may begin with them; their successors live as long
	// as the options say.
	DemoOracleStoreToken     = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE0MTQxNDk5NTYsInN1YiI6IjExMDU1OCIsImlzcyI6InN0b3JlZnJvbnRVSSIsImlhdCI6MTQxNDE0OTAyNn0=.B9qM0/VKpCNKvjCmOnUPv4RS7mkIDgKcP8RJPaVQGYU="
	DemoOracleAdminToken     = "demo-oracle-admin-token"
	DemoOracleStoreUsername  = "shopper@example.com"
	DemoOracleStorePassword  = "demo-store-password"
	DemoOracleApplicationKey = "demo-oracle-application-key"

	DemoOAuthTokenURL     = "https://" + DemoAuthHost + "/oauth/token"
	DemoOAuthClientID     = "demo-client"
	DemoOAuthClientSecret = "demo client secret: 100% & more" // shows whether values are form-encoded
	DemoOAuthRefreshToken = "demo-oauth-refresh-token"
	DemoOAuthScope        = "read write"

	DemoOAuthServiceID     = "demo-service"
	DemoOAuthServiceSecret = "demo-service-secret"
)

// The identifiers of the demo's grants.
const (
	DemoMCSGrant         = "demo-mcs"
	DemoXiaomiGrant      = "demo-xiaomi"
	DemoOracleStoreGrant = "demo-oracle-store"
	DemoOracleAdminGrant = "demo-oracle-admin"
	DemoOAuthGrant       = "demo-oauth2"
)

// Demo is what the demo's providers know at first, for Add.
func Demo() Seed {
	return Seed{
		Apps: []App{
			{Vendor: MCS, Key: DemoMCSAppKey, Secret: DemoMCSAppSecret},
			{Vendor: Xiaomi, Key: DemoXiaomiClientID, Secret: DemoXiaomiClientSecret, RedirectURI: DemoXiaomiRedirectURI},
			{Vendor: OAuth, Key: DemoOAuthClientID, Secret: DemoOAuthClientSecret, GrantTypes: []string{"refresh_token"}},
			{Vendor: OAuth, Key: DemoOAuthServiceID, Secret: DemoOAuthServiceSecret, Scope: DemoOAuthScope,
				GrantTypes: []string{"client_credentials"}},
		},
		Users: []User{
			{Vendor: MCS, Name: DemoMCSEmail, Password: DemoMCSPassword},
			{Vendor: OracleStore, Name: DemoOracleStoreUsername, Password: DemoOracleStorePassword},
			{Vendor: OracleAdmin, Name: "integration", Password: DemoOracleApplicationKey},
		},
		Grants: []Grant{
			{ID: DemoMCSGrant, Vendor: MCS, App: DemoMCSAppKey, RefreshToken: DemoMCSUserToken},
			{ID: DemoXiaomiGrant, Vendor: Xiaomi, App: DemoXiaomiClientID, RefreshToken: DemoXiaomiRefreshToken},
			{ID: DemoOracleStoreGrant, Vendor: OracleStore, RefreshToken: DemoOracleStoreToken, RefreshTokenLifetime: Day},
			{ID: DemoOracleAdminGrant, Vendor: OracleAdmin, RefreshToken: DemoOracleAdminToken, RefreshTokenLifetime: Day},
			{ID: DemoOAuthGrant, Vendor: OAuth, App: DemoOAuthClientID, RefreshToken: DemoOAuthRefreshToken, Scope: DemoOAuthScope},
		},
	}
}

// DemoOptions give every access token the same short lifetime, so that a person
// sees the rotation happen. Refresh tokens keep their lifetimes, but for Oracle
// Commerce, whose one token is both.
func DemoOptions(lifetime Duration) Options {
	return Options{
		MCS:    MCSOptions{AccessTokenLifetime: lifetime},
		Xiaomi: XiaomiOptions{AccessTokenLifetime: lifetime},
		Oracle: OracleOptions{StoreLifetime: lifetime, AdminLifetime: lifetime},
		OAuth:  OAuthOptions{AccessTokenLifetime: lifetime},
	}
}
