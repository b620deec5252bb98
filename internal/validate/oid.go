package validate

// Object identifiers are kept as the contents of their DER, which is what they are compared with.
const (
	oidCommonName   = "\x55\x04\x03" // 2.5.4.3
	oidSerialNumber = "\x55\x04\x05" // 2.5.4.5

	oidSKI               = "\x55\x1d\x0e"                     // id-ce-subjectKeyIdentifier, 2.5.29.14
	oidKeyUsage          = "\x55\x1d\x0f"                     // id-ce-keyUsage, 2.5.29.15
	oidBasicConstraints  = "\x55\x1d\x13"                     // id-ce-basicConstraints, 2.5.29.19
	oidCRLNumber         = "\x55\x1d\x14"                     // id-ce-cRLNumber, 2.5.29.20
	oidCRLDP             = "\x55\x1d\x1f"                     // id-ce-cRLDistributionPoints, 2.5.29.31
	oidPolicies          = "\x55\x1d\x20"                     // id-ce-certificatePolicies, 2.5.29.32
	oidAKI               = "\x55\x1d\x23"                     // id-ce-authorityKeyIdentifier, 2.5.29.35
	oidEKU               = "\x55\x1d\x25"                     // id-ce-extKeyUsage, 2.5.29.37
	oidAIA               = "\x2b\x06\x01\x05\x05\x07\x01\x01" // id-pe-authorityInfoAccess, 1.3.6.1.5.5.7.1.1
	oidIPAddrBlocks      = "\x2b\x06\x01\x05\x05\x07\x01\x07" // id-pe-ipAddrBlocks
	oidAutonomousSysIDs  = "\x2b\x06\x01\x05\x05\x07\x01\x08" // id-pe-autonomousSysIds
	oidSIA               = "\x2b\x06\x01\x05\x05\x07\x01\x0b" // id-pe-subjectInfoAccess
	oidPolicyIPAddrASN   = "\x2b\x06\x01\x05\x05\x07\x0e\x02" // id-cp-ipAddr-asNumber, RFC 6484
	oidQualifierCPS      = "\x2b\x06\x01\x05\x05\x07\x02\x01" // id-qt-cps, RFC 7318
	oidBGPsecRouter      = "\x2b\x06\x01\x05\x05\x07\x03\x1e" // id-kp-bgpsec-router, RFC 8209
	oidCAIssuers         = "\x2b\x06\x01\x05\x05\x07\x30\x02" // id-ad-caIssuers
	oidCARepository      = "\x2b\x06\x01\x05\x05\x07\x30\x05" // id-ad-caRepository
	oidRPKIManifest      = "\x2b\x06\x01\x05\x05\x07\x30\x0a" // id-ad-rpkiManifest
	oidSignedObject      = "\x2b\x06\x01\x05\x05\x07\x30\x0b" // id-ad-signedObject
	oidRPKINotify        = "\x2b\x06\x01\x05\x05\x07\x30\x0d" // id-ad-rpkiNotify, RFC 8182
	oidSignedData        = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	oidContentType       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
	oidMessageDigest     = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
	oidSigningTime       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"
	oidSHA256            = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	contentTypes         = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01" // id-ct, 1.2.840.113549.1.9.16.1
	oidROA               = contentTypes + "\x18"                      // id-ct-routeOriginAuthz
	oidManifest          = contentTypes + "\x1a"                      // id-ct-rpkiManifest
	oidGhostbusters      = contentTypes + "\x23"                      // id-ct-rpkiGhostbusters, RFC 6493
	oidASPA              = contentTypes + "\x31"                      // id-ct-ASPA
	oidTAK               = contentTypes + "\x32"                      // id-ct-signedTAL, RFC 9691
	oidSignedPrefixList  = contentTypes + "\x33"                      // id-ct-rpkiSignedPrefixList
	algSHA256            = "\x30\x0b\x06\x09" + oidSHA256
	algSHA256WithNull    = "\x30\x0d\x06\x09" + oidSHA256 + "\x05\x00"
	algSHA256WithRSA     = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
	algSHA256WithRSABare = "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" // without NULL (RFC 4055, section 5)
	algRSAEncryptionBare = "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	algRSAEncryption     = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
	algECDSAWithSHA256   = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
	algECPublicKeyOnP256 = "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
	keyUsageCA           = "\x03\x02\x01\x06" // keyCertSign and cRLSign
	keyUsageEE           = "\x03\x02\x07\x80" // digitalSignature
	basicConstraintsCA   = "\x30\x03\x01\x01\xff"
	maxObject            = 8_000_000 // octets; rpki-client refuses more
	minObject            = 100       // octets; rpki-client refuses less
	maxURI               = 2048      // octets; rpki-client refuses more
	maxURIPart           = 255       // octets of one part of its path; rpki-client and Routinator refuse more
	maxBlocks            = 200_000   // address or AS blocks of one certificate; rpki-client refuses more
	maxFiles             = 99_999    // entries of one manifest; rpki-client refuses more
	defaultDepth         = 12        // certificates below one another; rpki-client refuses more
	maxVisits            = 4         // certificates of one key and manifest that are followed
)
