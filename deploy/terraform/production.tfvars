public                = ["portal", "orders", "customers", "vehicles", "payments"]
migrations            = "approved"
database_tier         = "db-custom-4-15360"
database_availability = "REGIONAL"
backups_kept          = 30
instances             = 2
most_instances        = 20
