public                = ["portal", "orders", "customers", "vehicles", "payments"]
migrations            = "automatic"
database_tier         = "db-custom-1-3840"
database_availability = "ZONAL"
backups_kept          = 7
instances             = 1
most_instances        = 2
